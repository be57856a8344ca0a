//! The kinds of secrets, and where each belongs.

use crate::protocol::endpoint::Endpoint;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Refresh,
    Code,
    DeviceCode,
    ClientSecret,
    Pat,
    Sat,
    Verifier,
    Assertion,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
            Self::Code => "code",
            Self::DeviceCode => "device_code",
            Self::ClientSecret => "client_secret",
            Self::Pat => "pat",
            Self::Sat => "sat",
            Self::Verifier => "code_verifier",
            Self::Assertion => "assertion",
        }
    }

    /// The kind of secret whose shape a word has, if this mock makes such secrets.
    pub(super) fn by_shape(word: &str) -> Option<Self> {
        match (word.as_bytes(), word.len()) {
            ([b'm', b'o', b'c', b'k', b'_', ..], 72) => Some(Self::Refresh),
            ([b'm', b'o', b'c', b'k', b'_', ..], 64) => Some(Self::DeviceCode),
            ([b'c', b'z', ..], _) => {
                let access = word.starts_with("czu_mock_") || word.starts_with("czs_mock_");
                access.then_some(Self::Access)
            }
            ([b'c', ..], _) => word.starts_with("code_mock_").then_some(Self::Code),
            ([b'p', b'a', b't', b'_', ..], _) => Some(Self::Pat),
            ([b's', b'a', b't', b'_', ..], _) => Some(Self::Sat),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Path,
    Query(&'a str),
    Header(&'a str),
    Member(&'a str),
    /// A nested value in the body, or the name of a member.
    Body,
    Text,
}

impl Place<'_> {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query(_) => "query",
            Self::Header(_) => "header",
            Self::Member(_) | Self::Body => "body",
            Self::Text => "text",
        }
    }

    pub(super) fn takes(self, kind: Kind, endpoint: Endpoint<'_>) -> bool {
        let token = matches!(endpoint, Endpoint::Token { .. });
        match self {
            // A redirect to this server has a code in its query; a plain challenge is the verifier itself.
            Self::Query("code") => kind == Kind::Code && endpoint == Endpoint::Unknown,
            Self::Query("code_challenge") => {
                kind == Kind::Verifier && matches!(endpoint, Endpoint::Authorize { .. })
            }
            Self::Header("authorization") => match kind {
                Kind::Access | Kind::Pat | Kind::Sat => endpoint.takes_token(),
                Kind::ClientSecret | Kind::Assertion => token,
                _ => false,
            },
            Self::Member(name) => {
                let secret = !matches!(kind, Kind::Access | Kind::Pat | Kind::Sat);
                token && secret && name == kind.name()
            }
            _ => false,
        }
    }
}
