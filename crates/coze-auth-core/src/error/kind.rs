//! What applications branch on.

use std::fmt;
use std::time::Duration;

use super::Retry;

/// What to do about an error: the one place to branch on, as
/// [`std::io::Error::kind`] is. [`Error::kind`](super::Error::kind) gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The person said no. Start again only if they wish to.
    Denied,
    /// The device code and its user code are over. Start again and show the new user code.
    CodeExpired,
    /// A person has to log in, or to log in again.
    LoginNeeded,
    /// It passes: try again after this long, and longer each time. A [token source](crate::cache) does so by itself.
    Wait(Duration),
    /// Something configured has to change: client id, secret, key, region, address, proxy, certificates.
    Settings,
    /// Anything else; the words say what.
    Other,
}

impl ErrorKind {
    /// Whether a person has to log in, or to log in again: [`Denied`](Self::Denied),
    /// [`CodeExpired`](Self::CodeExpired), [`LoginNeeded`](Self::LoginNeeded).
    pub const fn needs_login(self) -> bool {
        matches!(self, Self::Denied | Self::CodeExpired | Self::LoginNeeded)
    }

    /// For trouble that passes, by what `retry()` says of it; none if it does not pass.
    pub(crate) fn passing(retry: Retry, grant: Option<GrantType>) -> Option<Self> {
        match retry {
            Retry::After(pause) => Some(Self::Wait(pause)),
            // Its attempt is over, and only a person can make the next.
            Retry::MaybeSpent(_) if grant == Some(GrantType::AuthorizationCode) => {
                Some(Self::LoginNeeded)
            }
            // The server may still have the old one; if not, it refuses it, and then a login is needed.
            Retry::MaybeSpent(pause) => Some(Self::Wait(pause)),
            Retry::Never => None,
        }
    }
}

/// What a token request trades for a token (RFC 6749 §1.3, RFC 7523 §2.1, RFC 8628 §3.4, RFC 8693 §2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GrantType {
    /// An authorization code, which works once.
    AuthorizationCode,
    /// A refresh token, which works once.
    RefreshToken,
    /// A device code, which is polled with.
    DeviceCode,
    /// The assertion of a JWT app. Each attempt makes its own.
    Assertion,
    /// The client id and secret of a workload, for an id token: step 1 of its grant.
    ClientCredentials,
    /// The id token of a workload, for an access token: step 2 of its grant.
    TokenExchange,
}

impl GrantType {
    /// Whether the server may refuse a second use of it, and no other can be made without a person.
    pub(crate) const fn is_single_use(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::RefreshToken)
    }

    /// Whether it is a step of a workload's grant.
    pub(crate) const fn is_of_workload(self) -> bool {
        matches!(self, Self::ClientCredentials | Self::TokenExchange)
    }
}

/// Which step it was, behind what an error speaks of, for a grant that has more than one.
pub(super) struct Step(pub(super) Option<GrantType>);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(GrantType::ClientCredentials) => " (step 1 of 2, client credentials)",
            Some(GrantType::TokenExchange) => " (step 2 of 2, token exchange)",
            _ => "",
        })
    }
}
