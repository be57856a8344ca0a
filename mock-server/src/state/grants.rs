//! The records of codes, devices and tokens.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::capped_map::Heap;
use super::provenance::{Mark, Origin};
use super::user::User;
use crate::intercept::fault_kind::CallbackFault;
use crate::protocol::digest::Digest;

/// Index into `State::apps`, which only ever grows.
pub(crate) type AppIndex = u16;

/// An accepted authorize request.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    pub(crate) app: AppIndex,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) workspace: Option<String>,
    pub(crate) expires_ms: u64,
    pub(crate) decided: bool,
    pub(crate) made: Mark,
    /// What a fault does to the way back to the app.
    pub(crate) fault: Option<CallbackFault>,
}

#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) value: String,
    pub(crate) s256: bool,
}

impl Challenge {
    fn heap(&self) -> usize {
        self.value.capacity()
    }
}

/// Number of bytes of a text that may not be there, with what its allocation takes.
fn bytes(text: Option<&String>) -> usize {
    text.map_or(0, |text| text.capacity() + 16)
}

impl Heap for Authorization {
    fn heap(&self) -> usize {
        let challenge = self.challenge.as_ref().map_or(0, Challenge::heap);
        let texts = [
            Some(&self.redirect_uri),
            self.state.as_ref(),
            self.workspace.as_ref(),
        ];
        texts.into_iter().map(bytes).sum::<usize>() + challenge
    }
}

/// The redirect URI counts for each code, although most codes share one.
impl Heap for Code {
    fn heap(&self) -> usize {
        let challenge = self.challenge.as_ref();
        let challenge = challenge.map_or(0, |challenge| challenge.heap() + size_of::<Challenge>());
        self.redirect_uri.len() + challenge
    }
}

impl Heap for Device {
    fn heap(&self) -> usize {
        bytes(Some(&self.user_code)) + bytes(self.workspace.as_ref())
    }
}

impl Heap for AccessToken {}

impl Heap for RefreshToken {}

impl Heap for IdToken {}

#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) app: AppIndex,
    pub(crate) user: Arc<User>,
    pub(crate) redirect_uri: Arc<str>,
    pub(crate) challenge: Option<Box<Challenge>>,
    pub(crate) expires_ms: u64,
    pub(crate) made: Mark,
    pub(crate) used: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    Pending,
    Approved,
    Denied,
}

#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) app: AppIndex,
    pub(crate) user_code: String,
    pub(crate) workspace: Option<String>,
    pub(crate) decision: Decision,
    /// The user who approved, if the decision names one.
    pub(crate) user: Option<Arc<User>>,
    pub(crate) expires_ms: u64,
    /// The time of the last poll, on the steady clock.
    pub(crate) last_poll: Option<Duration>,
    pub(crate) made: Mark,
    pub(crate) used: Option<Mark>,
}

#[derive(Clone, Debug)]
pub(crate) struct AccessToken {
    /// The app; none for tokens from the console.
    pub(crate) app: Option<AppIndex>,
    pub(crate) user: Arc<User>,
    /// The time of expiry; none if the token does not expire.
    pub(crate) expires_ms: Option<NonZeroU64>,
    pub(crate) revoked: bool,
    pub(crate) restricted: bool,
    /// The origin; none for tokens from the console.
    pub(crate) origin: Option<Origin>,
}

/// The id token of a workload, which any number of exchanges may present.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdToken {
    pub(crate) app: AppIndex,
    pub(crate) expires_ms: u64,
    pub(crate) made: Mark,
}

#[derive(Clone, Debug)]
pub(crate) struct RefreshToken {
    pub(crate) app: AppIndex,
    pub(crate) user: Arc<User>,
    pub(crate) expires_ms: u64,
    pub(crate) spent: Option<Mark>,
    pub(crate) revoked: bool,
    pub(crate) origin: Origin,
}

/// The tokens that the token endpoint gives.
#[derive(Debug)]
pub(crate) struct TokenAnswer {
    pub(crate) access_key: Digest,
    pub(crate) refresh_key: Option<Digest>,
    pub(crate) access_token: String,
    /// The time of expiry, in Unix seconds.
    pub(crate) expires_in: u64,
    pub(crate) refresh_token: Option<String>,
}

impl TokenAnswer {
    /// The body of the answer (protocol §3.1). Tokens are letters, digits and `_`: nothing in it is escaped.
    pub(crate) fn json(&self) -> String {
        let expires_in = self.expires_in.to_string();
        let refresh_token = match &self.refresh_token {
            Some(token) => [r#","refresh_token":""#, token, "\""],
            None => [""; 3],
        };
        let parts: [[&str; 3]; 4] = [
            [r#"{"access_token":""#, &self.access_token, "\""],
            [r#","expires_in":"#, &expires_in, ""],
            refresh_token,
            [r#","token_type":""#, "Bearer", "\"}"],
        ];
        parts.as_flattened().concat()
    }
}
