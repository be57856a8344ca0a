//! What a token endpoint grants, with its expiry made absolute.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access_token::AccessToken;
use crate::envelope::Answer;
use crate::error::{ConfigError, Error, Problem};
use crate::secret::{RefreshToken, SecretJson};
use crate::time::{ClockSkew, Now, UnixTime};

/// An access token, how long it lives, and what renews it.
///
/// ```
/// use std::time::Duration;
///
/// use coze_auth_core::{TokenGrant, UnixTime, error::ConfigError};
///
/// # fn main() -> Result<(), ConfigError> {
/// # let saved = r#"{"access_token":"a","refresh_token":"r","issued_at":1790000000,"expires_at":1790000900}"#;
/// let grant = TokenGrant::from_secret_json(saved)?; // a flow gives one, storage another
/// assert_eq!(grant.remaining(UnixTime::from_secs(1_790_000_000)), Duration::from_secs(900));
/// assert_eq!(grant.to_secret_json().expose(), saved);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenGrant {
    /// Opens the API until `expires_at`.
    pub access_token: AccessToken,
    /// Renews the grant, once: Coze rotates it. None for JWT apps and workloads, which just ask again (protocol §3.1).
    pub refresh_token: Option<RefreshToken>,
    /// When the answer arrived, by the caller's clock.
    pub issued_at: UnixTime,
    /// When the access token ends, by Coze's clock; by the caller's, if the answer said how long it lives.
    pub expires_at: UnixTime,
    /// How far our clock was from the server's when the answer arrived, if that is more than a minute: then
    /// `expires_at` comes too early or too late for us. None if the answer did not say, and in a stored grant.
    pub clock_skew: Option<ClockSkew>,
}

/// An access token and when it ends, and nothing that renews it: this may be handed on, to the end user whose session
/// it is for.
///
/// ```
/// # use coze_auth_core::{TokenGrant, error::ConfigError};
/// # fn main() -> Result<(), ConfigError> {
/// # let grant = TokenGrant::from_secret_json(r#"{"access_token":"czu_1","refresh_token":"r","issued_at":1750000000,"expires_at":1750000900}"#)?;
/// let json = grant.issued_token().to_secret_json();
/// assert_eq!(json.expose(), r#"{"access_token":"czu_1","expires_at":1750000900}"#);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuedToken {
    /// Opens the API until `expires_at`.
    pub access_token: AccessToken,
    /// When the access token ends, by Coze's clock. None if that is not known: the token was made in Coze's console.
    pub expires_at: Option<UnixTime>,
}

impl IssuedToken {
    /// How long the access token still lives; zero if it has ended. None if its end is not known.
    pub fn remaining(&self, now: UnixTime) -> Option<Duration> {
        self.expires_at.map(|end| now.until(end))
    }

    /// The token as JSON, for whom it is meant: `access_token`, and `expires_at` in Unix seconds, unless it is not known.
    pub fn to_secret_json(&self) -> SecretJson {
        SecretJson::of(&Issued {
            access_token: self.access_token.expose(),
            expires_at: self.expires_at.map(UnixTime::as_secs),
        })
    }
}

/// What `expires_in` can mean as a moment: from 2001 to 5138. Below it is a duration, which the token
/// endpoint of logins and JWT apps never sends (protocol §3.1); above it are milliseconds.
const MOMENTS: std::ops::Range<f64> = 1e9..1e11;
/// What it can mean as a duration, which that of workloads sends, as far as is known (protocol §15.3).
const DURATIONS: std::ops::Range<f64> = 1.0..1e9;
/// The life of a workload's token of which the answer says nothing, or null (protocol §15.3). A wrong short one costs two
/// requests, a wrong long one an outage.
const UNSAID: Duration = Duration::from_secs(300);

impl TokenGrant {
    /// The access token and its end, without the refresh token.
    pub fn issued_token(&self) -> IssuedToken {
        IssuedToken {
            access_token: self.access_token.clone(),
            expires_at: Some(self.expires_at),
        }
    }

    /// How long the access token still lives; zero if it has ended.
    pub fn remaining(&self, now: UnixTime) -> Duration {
        now.until(self.expires_at)
    }

    /// The grant as JSON, secrets included, for storage that you trust with a password.
    pub fn to_secret_json(&self) -> SecretJson {
        SecretJson::of(&Saved {
            access_token: self.access_token.expose().into(),
            refresh_token: self
                .refresh_token
                .as_ref()
                .map(|token| token.expose().into()),
            issued_at: self.issued_at.as_secs(),
            expires_at: self.expires_at.as_secs(),
        })
    }

    /// A grant from the JSON that [`to_secret_json`](Self::to_secret_json) made.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not such JSON.
    pub fn from_secret_json(json: &str) -> Result<Self, ConfigError> {
        let saved: Saved<'_> = serde_json::from_str(json)
            .map_err(|_| ConfigError::new("saved grant", Problem::NotJson))?;
        Ok(Self {
            access_token: AccessToken::received(saved.access_token)?,
            refresh_token: saved.refresh_token.map(RefreshToken::new).transpose()?,
            issued_at: UnixTime::from_secs(saved.issued_at),
            expires_at: UnixTime::from_secs(saved.expires_at),
            clock_skew: None,
        })
    }

    /// Reads a token answer (protocol §3.1).
    pub(crate) fn read(answer: &Answer<'_>, now: Now) -> Result<Self, Error> {
        let access_token = access_token(answer)?;
        let refresh_token = answer
            .optional_text("refresh_token")?
            .map(|token| RefreshToken::new(&*token))
            .transpose();
        let expires_in = answer.number("expires_in")?;
        if !MOMENTS.contains(&expires_in) {
            return Err(answer.bad("expires_in"));
        }
        Ok(Self {
            access_token,
            refresh_token: refresh_token.map_err(|_| answer.bad("refresh_token"))?,
            issued_at: now.unix,
            // A fraction of a second early, if it has one.
            expires_at: UnixTime::from_secs(expires_in as u64),
            clock_skew: answer.clock_skew(),
        })
    }

    /// Reads the answer to a workload's second request, whose `expires_in` may be either (protocol §15.3).
    pub(crate) fn of_workload(answer: &Answer<'_>, now: Now) -> Result<Self, Error> {
        let access_token = access_token(answer)?;
        // However far the clocks are apart, a duration ends by our own.
        let from_now = |life| (now.unix.plus(life), None);
        let (expires_at, clock_skew) = match answer.optional_number("expires_in")? {
            None => from_now(UNSAID),
            Some(life) if DURATIONS.contains(&life) => from_now(Duration::from_secs(life as u64)),
            Some(end) if MOMENTS.contains(&end) => {
                (UnixTime::from_secs(end as u64), answer.clock_skew())
            }
            Some(_) => return Err(answer.bad("expires_in")),
        };
        Ok(Self {
            access_token,
            refresh_token: None,
            issued_at: now.unix,
            expires_at,
            clock_skew,
        })
    }
}

fn access_token(answer: &Answer<'_>) -> Result<AccessToken, Error> {
    AccessToken::received(&*answer.text("access_token")?).map_err(|_| answer.bad("access_token"))
}

#[derive(Deserialize, Serialize)]
struct Saved<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Cow<'a, str>>,
    /// Unix seconds, as is `expires_at`: what is stored must not start a new life when it is loaded.
    issued_at: u64,
    expires_at: u64,
}

#[derive(Serialize)]
struct Issued<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}
