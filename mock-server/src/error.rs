//! Why a mock could not be made.

use std::net::SocketAddr;
use std::{fmt, io};

use crate::protocol::rules::{Rule, RuleError};
use crate::protocol::world_name::WorldNameError;

/// A mock could not be made.
#[non_exhaustive]
pub enum SetupError {
    /// No rule has this id.
    UnknownRule(String),
    /// This rule cannot be turned off.
    NotSwitchable(String),
    /// A breach of this rule cannot be answered with this HTTP status.
    AnswerStatus(String, u16),
    /// Only loopback addresses are allowed.
    NotLoopback(SocketAddr),
    /// This is no address to listen on, and why.
    ListenAddress(String, String),
    /// This cannot be the public URL, and why.
    PublicUrl(String, &'static str),
    /// There is no TLS with this certificate and key, and why.
    Tls(String),
    /// An admin token has to fit in a header.
    AdminToken,
    /// No world can have this name.
    WorldName(WorldNameError),
    /// The address cannot be listened on.
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread.
    Thread(io::Error),
    /// The system gave no random seed.
    Randomness(getrandom::Error),
}

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
            Self::UnknownRule(id) => {
                let switches = Rule::ALL.iter().filter(|rule| rule.text().switch);
                let ids: Vec<_> = switches.map(|rule| rule.id()).collect();
                write!(
                    f,
                    "there is no rule {id:?}; these can be switched: {}",
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
                "{address} can be reached from other machines; the mock gives tokens to anyone, so listen on 127.0.0.1, [::1] or localhost, or allow it by name: --i-know-this-mints-tokens, in Rust allow_other_machines()"
            ),
            Self::ListenAddress(address, why) => write!(f, "cannot listen on {address:?}: {why}"),
            Self::PublicUrl(url, why) => write!(
                f,
                "{url:?} cannot be the public URL: {why}; expected one such as http://mock:9777"
            ),
            Self::Tls(why) => write!(f, "cannot speak TLS: {why}"),
            Self::AdminToken => f.write_str(
                "the admin token has to be letters, digits and signs of ASCII, without spaces",
            ),
            Self::WorldName(problem) => problem.fmt(f),
            Self::Bind { address, source } => write!(
                f,
                "cannot listen on {address}: {source}; stop what is using it, or use port 0 for any free port"
            ),
            Self::Thread(source) => write!(f, "cannot start the server thread: {source}"),
            Self::Randomness(source) => {
                write!(f, "the system gave no random seed: {source}; set a seed")
            }
        }
    }
}

/// What `main` and `unwrap` print is read by people.
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
