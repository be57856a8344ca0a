//! Access tokens. Personal (PAT) and service (SAT) tokens are made in Coze's console and used as they
//! are; the others come from a flow. All of them are a Bearer.

use http::HeaderValue;

use crate::secret::secret;
use crate::wire;

secret! {
    /// What opens Coze's API, of whatever kind: sent as `Authorization: Bearer …`.
    AccessToken, "access token", Header
}

/// The kinds of access token, told by their prefix (protocol §3.3). The shapes are not promised: use
/// this to show a kind, never to refuse a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TokenKind {
    /// A personal access token, `pat_…`.
    Personal,
    /// A service access token, `sat_…`.
    Service,
    /// A user's token from the web, PKCE or device flow, `czu_…`.
    User,
    /// An app's token from the JWT flow, `czs_…`.
    App,
    /// Anything else.
    Unknown,
}

impl AccessToken {
    /// Its kind, as far as its prefix tells.
    pub fn kind(&self) -> TokenKind {
        match self.expose().split_once('_').map(|(prefix, _)| prefix) {
            Some("pat") => TokenKind::Personal,
            Some("sat") => TokenKind::Service,
            Some("czu") => TokenKind::User,
            Some("czs") => TokenKind::App,
            _ => TokenKind::Unknown,
        }
    }

    /// `Bearer …`, for the `Authorization` header of a request to Coze's API; marked sensitive.
    pub fn bearer(&self) -> HeaderValue {
        wire::bearer(&self.0)
    }
}
