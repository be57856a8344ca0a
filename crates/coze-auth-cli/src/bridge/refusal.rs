//! Refusals: RFC 6749's words for what Coze said, or for what is wrong with a request.

use std::time::Duration;

use bytes::Bytes;
use coze_auth::core;
use coze_auth::error::{ErrorCode, Retry};
use coze_auth::{Error, ErrorKind};
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::routes::{Reply, json};

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: String,
    of_coze: Option<Box<OfCoze>>,
    retry_after: Option<Duration>,
    challenge: Option<Challenge>,
}

/// What Coze said, as it was.
#[derive(Debug, Default)]
struct OfCoze {
    code: String,
    message: String,
    log_id: Option<String>,
}

/// What the client has to show (RFC 9110 §11.6.1).
#[derive(Clone, Copy, Debug)]
enum Challenge {
    Basic,
    /// With the error and its words, if the request had a token (RFC 6750 §3).
    Bearer(bool),
}

/// RFC 6749 §5.2, with Coze's own words beside it under Coze's own names.
#[derive(Serialize)]
struct Json<'a> {
    error: &'a str,
    error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error,
            description: in_rfc_characters(&description.into()),
            of_coze: None,
            retry_after: None,
            challenge: None,
        }
    }

    /// `invalid_request`: the client's mistake.
    pub(super) fn invalid(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// `invalid_client`: 401, and what would do (RFC 6749 §5.2).
    pub(super) fn client(description: impl Into<String>) -> Self {
        Self {
            challenge: Some(Challenge::Basic),
            ..Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
        }
    }

    pub(super) fn grant(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    /// No access token (RFC 6750 §3: without a code).
    pub(super) fn no_token() -> Self {
        Self {
            challenge: Some(Challenge::Bearer(false)),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid_request",
                "send the access token as Authorization: Bearer (RFC 6750 section 2.1)",
            )
        }
    }

    /// An access token that is refused.
    pub(super) fn token(
        status: StatusCode,
        error: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            challenge: Some(Challenge::Bearer(true)),
            ..Self::new(status, error, description)
        }
    }

    pub(super) fn busy() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "the bridge has as many requests under way as it takes at once: try again in a second",
            )
        }
    }

    /// What Coze, or the way to it, said to a token or device request.
    pub(super) fn of(error: &Error) -> Self {
        let kind = error.kind();
        let (status, name) = match error {
            Error::Core {
                error: core::Error::Refused(refused),
                ..
            } => match refused.code() {
                ErrorCode::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
                ErrorCode::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
                ErrorCode::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
                ErrorCode::UnsupportedGrantType => {
                    (StatusCode::BAD_REQUEST, "unsupported_grant_type")
                }
                ErrorCode::AccessDeny => (StatusCode::BAD_REQUEST, "unauthorized_client"),
                ErrorCode::AccessDenied => (StatusCode::BAD_REQUEST, "access_denied"),
                ErrorCode::AuthorizationPending => {
                    (StatusCode::BAD_REQUEST, "authorization_pending")
                }
                ErrorCode::SlowDown => (StatusCode::BAD_REQUEST, "slow_down"),
                ErrorCode::ExpiredToken => (StatusCode::BAD_REQUEST, "expired_token"),
                _ => match (kind, error.retry()) {
                    (_, Retry::After(_) | Retry::MaybeSpent(_)) => {
                        (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
                    }
                    // A name that the RFC does not have, for a code or token that is not good any more.
                    (ErrorKind::LoginNeeded | ErrorKind::CodeExpired, _) => {
                        (StatusCode::BAD_REQUEST, "invalid_grant")
                    }
                    _ if refused.status() >= 500 => (StatusCode::BAD_GATEWAY, "server_error"),
                    _ => (StatusCode::BAD_REQUEST, "invalid_request"),
                },
            },
            Error::Core {
                error: core::Error::Transport { failure, .. },
                ..
            } => match failure {
                core::TransportFailure::NotSent => {
                    (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
                }
                core::TransportFailure::Timeout => (StatusCode::GATEWAY_TIMEOUT, "server_error"),
                core::TransportFailure::NoAnswer => (StatusCode::BAD_GATEWAY, "server_error"),
            },
            Error::Core {
                error: core::Error::Config(_),
                ..
            } => (StatusCode::BAD_REQUEST, "invalid_request"),
            // A gateway's page, say. A success that cannot be read does not pass.
            Error::Core {
                error: core::Error::Unexpected(unexpected),
                ..
            } if error.retry() != Retry::Never && !(200..300).contains(&unexpected.status()) => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            _ => (StatusCode::BAD_GATEWAY, "server_error"),
        };
        let mut refusal = Self::new(status, name, error.to_string());
        refusal.challenge = (status == StatusCode::UNAUTHORIZED).then_some(Challenge::Basic);
        refusal.with_coze(error)
    }

    /// What Coze said to a request of the API with an access token.
    pub(super) fn of_api(error: &Error) -> Self {
        match error.code() {
            Some(code) if code.rejects_token() => {
                Self::token(StatusCode::UNAUTHORIZED, "invalid_token", error.to_string())
                    .with_coze(error)
            }
            Some(ErrorCode::Number(4101)) => Self::token(
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                error.to_string(),
            )
            .with_coze(error),
            _ => Self::of(error),
        }
    }

    fn with_coze(mut self, error: &Error) -> Self {
        let mut of_coze = OfCoze {
            log_id: error.log_id().map(str::to_owned),
            ..OfCoze::default()
        };
        if let Error::Core {
            error: core::Error::Refused(refused),
            ..
        } = error
        {
            of_coze.code = refused.code().to_string();
            refused.message().clone_into(&mut of_coze.message);
        }
        self.of_coze = Some(Box::new(of_coze));
        if let Retry::After(pause) | Retry::MaybeSpent(pause) = error.retry()
            && self.status == StatusCode::SERVICE_UNAVAILABLE
        {
            self.retry_after = Some(pause);
        }
        self
    }

    pub(super) const fn error(&self) -> &'static str {
        self.error
    }

    pub(super) fn description(&self) -> &str {
        &self.description
    }

    pub(super) fn log_id(&self) -> Option<&str> {
        self.of_coze.as_ref()?.log_id.as_deref()
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer (RFC 6749 §5.2).
    pub(super) fn reply(&self) -> Reply {
        let said = |text: fn(&OfCoze) -> &str| {
            let text = self.of_coze.as_deref().map(text);
            text.filter(|text| !text.is_empty())
        };
        let mut reply = json(
            self.status,
            &Json {
                error: self.error,
                error_description: &self.description,
                error_code: said(|of| &of.code),
                error_message: said(|of| &of.message),
            },
        );
        self.dress(&mut reply);
        reply
    }

    pub(super) fn dress(&self, reply: &mut Response<http_body_util::Full<Bytes>>) {
        let headers = reply.headers_mut();
        let challenge = match self.challenge {
            None => None,
            Some(Challenge::Basic) => Some("Basic realm=\"Coze\", charset=\"UTF-8\"".to_owned()),
            Some(Challenge::Bearer(false)) => Some("Bearer realm=\"Coze\"".to_owned()),
            Some(Challenge::Bearer(true)) => Some(format!(
                "Bearer realm=\"Coze\", error=\"{}\", error_description=\"{}\"",
                self.error, self.description
            )),
        };
        if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        if let Some(pause) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(pause.as_secs().max(1)));
        }
        if let Some(value) = self.log_id().and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(super::upstream::LOG_ID, value);
        }
    }
}

/// The characters that RFC 6749 §5.2 has in `error_description`: visible ASCII and space, without `"` and `\`. Coze's words as they
/// were are beside it.
fn in_rfc_characters(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => clean.push('\''),
            '\\' => clean.push('/'),
            '…' => clean.push_str("..."),
            '§' => clean.push_str("section "),
            ' '..='~' => clean.push(character),
            _ => clean.push('?'),
        }
    }
    clean
}
