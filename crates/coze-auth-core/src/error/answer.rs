//! Answers that are not what was asked for: refusals, and what cannot be read.

use std::fmt;
use std::time::Duration;

use super::kind::{ErrorKind, GrantType, Step};
use super::report::report;
use super::text::{MASK, ServerText, write_log_id};
use super::{Retry, write_maybe_spent};
use crate::json;
use crate::time::ClockSkew;

/// Coze's name for a refusal. The set is open: Coze documents some and sends others (protocol §4.3, §4.4).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `invalid_request`: a parameter is missing or wrong.
    InvalidRequest,
    /// `invalid_client`: wrong client id, secret, key or assertion.
    InvalidClient,
    /// `invalid_grant`: the code or token is spent, expired or another's.
    InvalidGrant,
    /// `unsupported_grant_type`.
    UnsupportedGrantType,
    /// `access_deny`: the app is switched off or of the wrong kind. Not `access_denied`.
    AccessDeny,
    /// `access_denied`: the person said no. Not `access_deny`.
    AccessDenied,
    /// `authorization_pending`: the person has not answered yet.
    AuthorizationPending,
    /// `slow_down`: polled too fast.
    SlowDown,
    /// `expired_token`: the device code expired.
    ExpiredToken,
    /// `internal_error`: Coze's own trouble.
    InternalError,
    /// A number, as API endpoints and the gateway give: 4100, 4101, 700012006.
    Number(i64),
    /// Any other name.
    Other(String),
}

impl ErrorCode {
    /// From a server's words. They are recognised before cleaning and cleaned only where they are shown:
    /// a secret that happens to be a part of `authorization_pending` must not hide it.
    pub(crate) fn of_server(words: &str, text: &ServerText) -> Self {
        match words.trim() {
            "invalid_request" => Self::InvalidRequest,
            "invalid_client" => Self::InvalidClient,
            "invalid_grant" => Self::InvalidGrant,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "access_deny" => Self::AccessDeny,
            "access_denied" => Self::AccessDenied,
            "authorization_pending" => Self::AuthorizationPending,
            "slow_down" => Self::SlowDown,
            "expired_token" => Self::ExpiredToken,
            "internal_error" => Self::InternalError,
            other => match json::integer(other) {
                // It may be a secret of digits, repeated.
                Some(number) if text.clean(&number.to_string()) != MASK => Self::Number(number),
                _ => Self::Other(text.clean(other)),
            },
        }
    }

    /// Whether it says that the access token itself is not valid: 4100, or the gateway's 700012006 (protocol §4.4). 4101 is
    /// neither: the token is good and lacks a permission.
    pub const fn rejects_token(&self) -> bool {
        matches!(self, Self::Number(4100 | 700_012_006))
    }

    /// Whether it is a word of OAuth's form, which a token endpoint has for every answer (RFC 6749 §5.2). Gateways
    /// have numbers, and frameworks a status in words: `Not Found`.
    pub(crate) fn is_oauth(&self) -> bool {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        match self {
            Self::Number(_) => false,
            Self::Other(name) => name.bytes().all(is_word),
            _ => true,
        }
    }

    /// What the person who gets this error can do about it, by what was sent.
    fn advice(&self, sent: Option<GrantType>) -> &'static str {
        use GrantType::{
            Assertion, AuthorizationCode, ClientCredentials, DeviceCode, RefreshToken,
            TokenExchange,
        };
        match (self, sent) {
            (Self::InvalidRequest, Some(Assertion | ClientCredentials | TokenExchange)) => {
                "a parameter is wrong"
            }
            (Self::UnsupportedGrantType, Some(ClientCredentials | TokenExchange)) => {
                "check the URL: it is not an endpoint for workloads, as it seems"
            }
            (
                Self::InvalidClient | Self::InvalidGrant | Self::AccessDenied,
                Some(ClientCredentials),
            ) => {
                "check the client id and the client secret, and that the endpoint is of the same environment"
            }
            (
                Self::InvalidClient | Self::InvalidGrant | Self::AccessDenied,
                Some(TokenExchange),
            ) => {
                "the id token was new: check the client id, and that both token endpoints are of the same environment"
            }
            // No access token was sent, so none is wrong.
            (code, Some(ClientCredentials | TokenExchange)) if code.rejects_token() => {
                "check the client id and the client secret, and that both token endpoints are of the same environment"
            }
            (Self::InvalidRequest, _) => {
                "a parameter is wrong or spent; if it is client_secret, a web app was used as a PKCE app"
            }
            (Self::InvalidClient | Self::InvalidGrant, Some(Assertion)) => {
                "check the app id, the key id and the private key, and the region (api.coze.cn and api.coze.com share none)"
            }
            (Self::InvalidClient, _) => {
                "check the client id and its secret or key, and the region (api.coze.cn and api.coze.com share none)"
            }
            // RFC 6749 §5.2 has one code for all of these.
            (Self::InvalidGrant, Some(AuthorizationCode)) => {
                "the code is spent or expired, or was given for another redirect URI, client or code challenge: log in again"
            }
            (Self::ExpiredToken, Some(AuthorizationCode)) => {
                "the code is spent or expired: log in again"
            }
            (Self::InvalidGrant | Self::ExpiredToken, Some(RefreshToken)) => {
                "the refresh token is spent or expired: log in again"
            }
            (Self::InvalidGrant | Self::ExpiredToken, Some(DeviceCode)) => {
                "the device code is spent or expired: start again and show the new user code"
            }
            (Self::AccessDenied, Some(DeviceCode | AuthorizationCode)) => {
                "the person said no: start again only if they wish to"
            }
            (Self::UnsupportedGrantType, _) => "this kind of app cannot use this flow",
            (Self::AccessDeny, _) => {
                "the app is switched off or of another kind: look at it in Coze's console"
            }
            (code, _) if code.rejects_token() => {
                "the access token is wrong, expired or of the other region"
            }
            (Self::Number(4000), _) => {
                "if the path is unknown (HTTP 404), check the base URL, or that of the endpoint"
            }
            (Self::Number(4101), _) => {
                "the token lacks this permission, or belongs to the other region"
            }
            (Self::Number(4008 | 4009 | 4020), _) => "too many requests: pause",
            _ => "",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AccessDeny => "access_deny",
            Self::AccessDenied => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::InternalError => "internal_error",
            Self::Number(number) => return number.fmt(f),
            Self::Other(text) => text,
        })
    }
}

/// The source of an answer, which every error about an answer has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    /// Scheme, host and port.
    pub(crate) of: String,
    pub(crate) status: u16,
    pub(crate) log_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// The answer says what time it is there.
    pub(crate) is_dated: bool,
    pub(crate) clock_skew: Option<ClockSkew>,
    /// What was traded for a token, if one was asked for.
    pub(crate) grant: Option<GrantType>,
    /// The credential of an integration was asked for.
    pub(crate) is_of_integration: bool,
}

impl Origin {
    /// Whether the status alone speaks of trouble that passes.
    fn passes(&self) -> bool {
        !self.is_of_disabled_integration()
            && (self.status == 408 || self.status == 429 || self.status >= 500)
    }

    /// Coze answers 500 for an integration that it does not give, each time (protocol §15.4).
    fn is_of_disabled_integration(&self) -> bool {
        self.is_of_integration && self.status == 500
    }

    /// Writes what may be wrong with an integration.
    fn write_integration(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_of_disabled_integration() {
            true => f.write_str(
                "; its name may be wrong, or it is not enabled for this project: look at the project's integrations, since trying \
                 again does not enable one",
            ),
            false => Ok(()),
        }
    }

    fn retry_passing(&self) -> Retry {
        // Throttled is refused before anything is done; anything else may have been done.
        Retry::passing(self.grant, self.status != 429, self.retry_after)
    }

    /// The kind of trouble that passes; none if it does not.
    fn kind_passing(&self, retry: Retry) -> Option<ErrorKind> {
        ErrorKind::passing(retry, self.grant)
    }
}

/// Coze said no, in one of its forms (protocol §4.1), under whatever status.
#[derive(Clone, Eq, PartialEq)]
pub struct Refused {
    pub(crate) origin: Box<Origin>,
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Refused {
    /// Coze's code.
    pub fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// Coze's words, cleaned: at most 200 characters, secrets masked. Empty if it had none.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status. Coze refuses under 200 too (protocol §4.1, F4).
    pub fn status(&self) -> u16 {
        self.origin.status
    }

    /// Coze's id of the answer.
    pub fn log_id(&self) -> Option<&str> {
        self.origin.log_id.as_deref()
    }

    /// The server's `Retry-After`: a number of seconds or a date (RFC 9110 §10.2.3), which counts from the
    /// answer's own `Date`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.origin.retry_after
    }

    /// Whether the same can succeed later.
    pub fn retry(&self) -> Retry {
        match self.code {
            ErrorCode::Number(4008 | 4009 | 4020) => {
                Retry::passing(None, false, self.origin.retry_after)
            }
            ErrorCode::InternalError | ErrorCode::Number(5000)
                if !self.origin.is_of_disabled_integration() =>
            {
                self.origin.retry_passing()
            }
            _ if self.origin.passes() => self.origin.retry_passing(),
            _ => Retry::Never,
        }
    }

    /// What to do about it: by the code, and by what was sent.
    pub fn kind(&self) -> ErrorKind {
        use ErrorCode::{
            AccessDenied, AccessDeny, ExpiredToken, InvalidClient, InvalidGrant, InvalidRequest,
            Number, UnsupportedGrantType,
        };
        use GrantType::{
            Assertion, AuthorizationCode, ClientCredentials, DeviceCode, RefreshToken,
            TokenExchange,
        };
        if let Some(kind) = self.origin.kind_passing(self.retry()) {
            return kind;
        }
        if self.origin.is_of_disabled_integration() {
            return ErrorKind::Settings;
        }
        match (self.origin.grant, &self.code) {
            (Some(DeviceCode | AuthorizationCode), AccessDenied) => ErrorKind::Denied,
            (Some(DeviceCode), ExpiredToken | InvalidGrant) => ErrorKind::CodeExpired,
            // What Coze says to a spent refresh token is not known (protocol §14): it may be anything.
            (Some(RefreshToken), _) => ErrorKind::LoginNeeded,
            (_, InvalidClient | UnsupportedGrantType | AccessDeny | Number(4000 | 4101)) => {
                ErrorKind::Settings
            }
            // Nobody logs in to a JWT app or a workload; what it sends comes from its settings.
            (
                Some(Assertion | ClientCredentials | TokenExchange),
                InvalidGrant | InvalidRequest | AccessDenied,
            )
            | (None, InvalidRequest) => ErrorKind::Settings,
            // With which codes Coze refuses them is not known (protocol §14).
            (Some(ClientCredentials | TokenExchange), _) if self.status() == 401 => {
                ErrorKind::Settings
            }
            // Nor is it known what Coze says to a spent code (protocol §14).
            (Some(DeviceCode | AuthorizationCode), _) => ErrorKind::LoginNeeded,
            _ => ErrorKind::Other,
        }
    }

    /// Whether this speaks of trouble that passes, for one who may repeat.
    pub(crate) fn passes(&self) -> bool {
        self.retry() != Retry::Never
    }

    /// How far this machine's clock is from the server's, where that can be why it refused: an assertion
    /// says what time it is here, and a clock that is behind takes a token that has ended for good.
    pub fn clock_skew(&self) -> Option<ClockSkew> {
        self.origin
            .clock_skew
            .filter(|skew| match self.code.rejects_token() {
                // A workload's requests have no time in them.
                true => skew.as_secs() < 0 && !self.is_of_workload(),
                false => self.is_of_assertion(),
            })
    }

    /// Whether Coze may mean that it does not know the key of the assertion, or no longer: then one that is signed with the
    /// app's other key, while a key is being replaced, can succeed. Coze has no code of its own for that: what is known is
    /// `invalid_client` with a text (protocol §4.3), which a wrong app id or region gets, too.
    pub fn may_be_the_key(&self) -> bool {
        self.is_of_assertion()
            && matches!(
                self.code,
                ErrorCode::InvalidClient | ErrorCode::InvalidGrant
            )
    }

    fn is_of_workload(&self) -> bool {
        self.origin.grant.is_some_and(GrantType::is_of_workload)
    }

    /// An assertion was refused for good.
    fn is_of_assertion(&self) -> bool {
        self.origin.grant == Some(GrantType::Assertion) && self.retry() == Retry::Never
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = Step(self.origin.grant);
        write!(
            f,
            "Coze refused{step}: {} (HTTP {})",
            self.code,
            self.status()
        )?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        let advice = self.code.advice(self.origin.grant);
        if !advice.is_empty() {
            write!(f, "; {advice}")?;
        }
        self.origin.write_integration(f)?;
        write_maybe_spent(f, self.retry(), self.origin.grant)?;
        match self.clock_skew() {
            Some(skew) => write!(f, "; {skew}: set it")?,
            None if self.is_of_assertion() && !self.origin.is_dated => {
                f.write_str("; check this machine's clock, too")?;
            }
            None => {}
        }
        write_log_id(f, self.log_id())
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for Refused {}

/// What is odd about an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Oddity {
    /// A redirect. A token endpoint has none to give, and following it would hand the credential on.
    Redirect,
    /// Longer than [`Body::READ_AT_MOST`](crate::wire::Body::READ_AT_MOST).
    TooLong,
    /// No body.
    Empty,
    /// In a coding that was not asked for and cannot be read, or that is damaged: see [`Unexpected::coding`].
    Coding,
    /// Not a JSON object: HTML of a gateway or proxy, a cut-off answer.
    NotJson,
    /// A status that is not a success, and no error code in the body.
    Unexplained,
    /// A success without this member.
    Missing(&'static str),
    /// This member is there twice.
    Repeated(&'static str),
    /// This member is not a text, a whole number or an object, as it must be.
    WrongType(&'static str),
    /// This member has a value that cannot be meant: a time long past or far off, a token with a
    /// character that no header can hold, a link that is not http.
    BadValue(&'static str),
}

/// An answer that cannot be read. It tells its length, never its text.
#[derive(Clone, Eq, PartialEq)]
pub struct Unexpected {
    pub(crate) origin: Box<Origin>,
    pub(crate) oddity: Oddity,
    pub(crate) coding: Option<String>,
    pub(crate) body_len: usize,
}

impl Unexpected {
    /// What is odd.
    pub fn oddity(&self) -> Oddity {
        self.oddity
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.origin.status
    }

    /// The length of the body, in bytes, as far as it was read.
    pub fn body_len(&self) -> usize {
        self.body_len
    }

    /// The `Content-Encoding` of the answer, cleaned; none if it has none. None was asked for.
    pub fn coding(&self) -> Option<&str> {
        self.coding.as_deref()
    }

    /// Coze's id of the answer; none if it is not Coze that answered.
    pub fn log_id(&self) -> Option<&str> {
        self.origin.log_id.as_deref()
    }

    /// The server's `Retry-After`: a number of seconds or a date (RFC 9110 §10.2.3), which counts from the
    /// answer's own `Date`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.origin.retry_after
    }

    /// Whether the same can succeed later.
    pub fn retry(&self) -> Retry {
        match self.status() {
            _ if self.passes() => self.origin.retry_passing(),
            // A success that cannot be read: the server did act.
            200..300 if self.origin.grant.is_some_and(GrantType::is_single_use) => {
                Retry::passing(self.origin.grant, true, self.retry_after())
            }
            _ => Retry::Never,
        }
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        let kind = self.origin.kind_passing(self.retry());
        kind.unwrap_or_else(|| match self.oddity {
            _ if self.origin.is_of_disabled_integration() => ErrorKind::Settings,
            Oddity::Redirect | Oddity::TooLong => ErrorKind::Settings,
            _ if self.is_of_unknown_path() => ErrorKind::Settings,
            _ => ErrorKind::Other,
        })
    }

    /// Whether this speaks of trouble that passes, for one who may repeat.
    pub(crate) fn passes(&self) -> bool {
        self.origin.passes()
    }

    /// Whether what answers does not have what was asked for, in words that are not Coze's.
    fn is_of_unknown_path(&self) -> bool {
        matches!(self.status(), 404 | 405)
    }

    /// Writes who may have sent this, and what to do about it.
    fn write_advice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHECK_URL: &str = "check the base URL, or that of the endpoint";
        match self.oddity {
            Oddity::Redirect | Oddity::TooLong => return write!(f, "; {CHECK_URL}"),
            Oddity::Missing(_)
            | Oddity::Repeated(_)
            | Oddity::WrongType(_)
            | Oddity::BadValue(_) => {
                return f.write_str(
                    "; Coze is not known to send that: tell its support the log id, unless another server answered",
                );
            }
            Oddity::Empty | Oddity::Coding | Oddity::NotJson | Oddity::Unexplained => {}
        }
        f.write_str("; a proxy or gateway may have answered")?;
        match self.status() {
            429 => f.write_str(": too many requests, pause"),
            _ if self.is_of_unknown_path() => write!(f, ": {CHECK_URL}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            oddity, body_len, ..
        } = self;
        write!(
            f,
            "the answer of {}{} cannot be read (HTTP {}, {body_len} bytes): ",
            self.origin.of,
            Step(self.origin.grant),
            self.status()
        )?;
        match oddity {
            Oddity::Redirect => f.write_str("it is a redirect, which is never followed"),
            Oddity::TooLong => f.write_str("it is too long to be Coze's"),
            Oddity::Empty => f.write_str("it is empty"),
            Oddity::Coding => {
                let coding = self.coding().unwrap_or("gzip");
                let is_read = |name: &str| {
                    ["gzip", "x-gzip", "deflate"]
                        .iter()
                        .any(|read| name.trim().eq_ignore_ascii_case(read))
                };
                let why = match coding.split(',').all(is_read) {
                    true => "and damaged or cut off",
                    false => "which was not asked for and cannot be read",
                };
                write!(f, "it is in the coding {coding}, {why}")
            }
            Oddity::NotJson => f.write_str("it is not a JSON object"),
            Oddity::Unexplained => f.write_str("it is not a success and has no error code"),
            Oddity::Missing(member) => write!(f, "it has no {member}"),
            Oddity::Repeated(member) => write!(f, "it has {member} twice"),
            Oddity::WrongType(member) => write!(f, "its {member} is of the wrong type"),
            Oddity::BadValue(member) => write!(f, "its {member} has a value that cannot be meant"),
        }?;
        self.write_advice(f)?;
        self.origin.write_integration(f)?;
        write_maybe_spent(f, self.retry(), self.origin.grant)?;
        write_log_id(f, self.log_id())
    }
}

impl fmt::Debug for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for Unexpected {}
