//! The errors of making a mock.

use std::net::SocketAddr;
use std::{fmt, io};

use crate::limits::MAX_KEYS;
use crate::protocol::rules::{Rule, RuleError};
use crate::protocol::world_name::WorldError;
use crate::redact::without_keys;

/// Why a mock could not be made.
#[non_exhaustive]
pub enum SetupError {
    /// No rule has this id.
    UnknownRule(String),
    /// This rule cannot be turned off.
    NotSwitchable(String),
    /// A violation of this rule cannot be answered with this HTTP status.
    AnswerStatus(String, u16),
    /// The address is not a loopback address, and others were not allowed.
    NotLoopback(SocketAddr),
    /// The mock cannot listen on this address; the second text is the reason.
    ListenAddress(String, String),
    /// This cannot be the public URL; the second text is the reason.
    PublicUrl(String, &'static str),
    /// Pages of this origin cannot be allowed; the second text is the reason.
    AllowedOrigin(String, &'static str),
    /// The mock cannot answer to this name.
    AllowedHost(String),
    /// TLS does not work with this certificate and key; the text is the reason.
    Tls(String),
    /// The admin token has characters that a header cannot hold.
    AdminToken,
    /// This name has no world.
    World(WorldError),
    /// A key cannot be added to a JWT app.
    Key(KeyError),
    /// The socket could not be bound.
    Bind {
        /// The requested address.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The operating system could not start a thread.
    Thread(io::Error),
    /// The operating system could not supply a random seed.
    Randomness(io::Error),
}

/// Why a key of a JWT app cannot be added or removed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// None of the apps has this client id.
    UnknownApp,
    /// The app is not a JWT app, which alone has keys.
    NotJwt,
    /// The text is not a public key; the reason says what it is instead, or what is missing.
    NotAKey(&'static str),
    /// The key id is empty, longer than 256 bytes, or has a character that is not visible ASCII.
    BadKid,
    /// Another app has a key of this key id.
    Taken,
    /// The app has 16 keys already.
    Full,
    /// None of the app's keys has this key id.
    UnknownKey,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownApp => f.write_str("unknown client id"),
            Self::NotJwt => f.write_str("the app is not a JWT app, which alone has keys"),
            Self::NotAKey(why) => write!(
                f,
                "public_pem is not a public key: {why}; make one with: openssl rsa -in key.pem -pubout"
            ),
            Self::BadKid => f.write_str("kid is 1 to 256 characters of visible ASCII"),
            Self::Taken => f.write_str("another app has a key of this kid; each must have its own"),
            Self::Full => write!(f, "the app has {MAX_KEYS} keys already; remove one of them"),
            Self::UnknownKey => f.write_str("none of the keys of this app has this kid"),
        }
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyError {}

impl From<RuleError> for SetupError {
    fn from(error: RuleError) -> Self {
        match error {
            RuleError::Unknown(id) => Self::UnknownRule(id),
            RuleError::NotSwitchable(id) => Self::NotSwitchable(id),
            RuleError::AnswerStatus(id, status) => Self::AnswerStatus(id, status),
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::UnknownRule(id) => {
                let switches = Rule::ALL.iter().filter(|rule| rule.text().switch);
                let ids: Vec<_> = switches.map(|rule| rule.id()).collect();
                write!(
                    f,
                    "unknown rule {id:?}; these rules can be turned off: {}",
                    ids.join(", ")
                )
            }
            Self::NotSwitchable(id) => write!(f, "the rule {id} cannot be turned off"),
            Self::AnswerStatus(id, status) => {
                write!(
                    f,
                    "{id} cannot be answered with status {status}: use 200–299 or 400–599"
                )
            }
            Self::NotLoopback(address) => write!(
                f,
                "{address} can be reached from other machines; the mock issues tokens to every client, so listen on 127.0.0.1, [::1] or localhost, or allow it explicitly: --i-know-this-mints-tokens, in Rust allow_other_machines()"
            ),
            Self::ListenAddress(address, why) => {
                let shown = without_keys(address, address);
                write!(f, "cannot listen on {shown:?}: {why}")
            }
            Self::PublicUrl(url, why) => write!(
                f,
                "{:?} cannot be the public URL: {why}; expected one such as http://mock:9777",
                without_user_info(url)
            ),
            Self::AllowedOrigin(origin, why) => write!(
                f,
                "{:?} cannot be an allowed origin: {why}; expected one such as https://app.example, \"loopback\" for every port of this machine, or \"null\"",
                without_user_info(origin)
            ),
            Self::AllowedHost(host) => write!(
                f,
                "{:?} cannot be an allowed host; expected a name such as mock or mock.test",
                without_keys(host, host)
            ),
            Self::Tls(why) => write!(f, "cannot use TLS: {why}"),
            Self::AdminToken => f.write_str(
                "the admin token must consist of printable ASCII characters without spaces",
            ),
            Self::World(problem) => problem.fmt(f),
            Self::Bind { address, source } => write!(
                f,
                "cannot listen on {address}: {source}; stop the program that uses it, or use port 0 for a free port"
            ),
            Self::Thread(source) => write!(f, "cannot start the server thread: {source}"),
            Self::Randomness(source) => {
                write!(
                    f,
                    "the operating system supplied no random seed: {source}; set a seed"
                )
            }
        }
    }
}

/// The URL without a password.
fn without_user_info(url: &str) -> String {
    let shown = without_keys(url, url);
    match shown.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => shown.into_owned(),
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::Thread(source) => Some(source),
            Self::Randomness(source) => Some(source),
            _ => None,
        }
    }
}
