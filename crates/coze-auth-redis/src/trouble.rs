//! What goes wrong at the server, and its words for a person.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::error::ErrorKind;
use coze_auth_store::{Cause, StoreError};
use redis::RedisError;

use crate::connect::ConnectError;

/// How long to wait at least for what passes by itself.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of characters of what a server says.
pub(crate) const LONGEST: usize = 300;

/// Codes that Redis 6.2 puts into a text of its own when a script is refused.
const IN_SCRIPTS: [&str; 6] = [
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "READONLY",
    "MASTERDOWN",
    "WRONGTYPE",
];

/// Why a step has no answer that counts.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// None of the tries to connect succeeded in this time; why the last one failed.
    Away(Option<Box<ConnectError>>, Duration),
    /// The connection was lost. What was asked for may be done.
    Broken(Arc<RedisError>),
    /// No answer in this time. What was asked for may be done, now or later.
    Slow(Duration),
    /// The server's own error, code and text.
    Server(String),
    /// The server answered something that a script of ours never does.
    Answer,
}

impl Trouble {
    pub(crate) fn of(error: RedisError) -> Self {
        if let Some(code) = error.code() {
            let text = match error.detail() {
                // A proxy that does not know a command may quote it, with the grant.
                Some(detail) if !detail.contains("_token") => format!("{code} {detail}"),
                _ => code.to_owned(),
            };
            return Self::Server(text);
        }
        // Cut off in the middle of an answer, as by a server that is killed.
        if error.kind() == redis::ErrorKind::Parse {
            return Self::Broken(Arc::new(
                io::Error::from(io::ErrorKind::UnexpectedEof).into(),
            ));
        }
        match error.is_io_error() {
            true => Self::Broken(Arc::new(error)),
            // Its words may quote the answer.
            false => Self::Answer,
        }
    }

    /// The server's code. Redis 6.2 wraps that of a script in one of its own.
    pub(crate) fn code(&self) -> &str {
        let Self::Server(text) = self else {
            return "";
        };
        if text.contains("@user_script") {
            let is_in = |code: &&str| text.split([' ', '-']).any(|word| word == *code);
            if let Some(code) = IN_SCRIPTS.into_iter().find(is_in) {
                return code;
            }
        }
        text.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// Whether another server may be the right one now.
    pub(crate) fn is_wrong_server(&self) -> bool {
        matches!(
            self.code(),
            "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK" | "UNBLOCKED"
        )
    }

    /// Whether it passes within a call, as a rule.
    pub(crate) fn is_not_now(&self) -> bool {
        self.is_broken()
            || self.is_wrong_server()
            || matches!(self.code(), "LOADING" | "BUSY" | "TRYAGAIN")
    }

    fn is_right_in_a_script(&self) -> bool {
        let Self::Server(text) = self else {
            return false;
        };
        text.contains("ACL failure in script") || text.contains("The user executing the script")
    }

    /// As `rename-command` and managed services leave it.
    fn is_unknown_command(&self) -> bool {
        let Self::Server(text) = self else {
            return false;
        };
        is_unknown_command(text)
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Away(Some(error), _) => error.kind(),
            _ if self.is_right_in_a_script() || self.is_unknown_command() => ErrorKind::Settings,
            _ => match self.code() {
                "NOPERM" | "NOAUTH" | "WRONGPASS" | "WRONGTYPE" => ErrorKind::Settings,
                _ => ErrorKind::Wait(PAUSE),
            },
        }
    }

    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Away(error, _) => {
                // It has spoken in `Display`.
                let cause = error.as_ref()?.source()?.to_string();
                Some(Arc::new(Said(cause)))
            }
            Self::Broken(error) => Some(error.clone()),
            Self::Server(text) => Some(Arc::new(Said(text.chars().take(LONGEST).collect()))),
            Self::Slow(_) | Self::Answer => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(Some(error), _) => return error.fmt(f),
            Self::Away(None, waited) => {
                return write!(
                    f,
                    "no connection to Redis in {} ms: it is away, or slow",
                    waited.as_millis()
                );
            }
            Self::Broken(_) => {
                return f.write_str(
                    "the connection to Redis was lost again and again, and what was asked for may be done or not; it is tried \
                     again",
                );
            }
            Self::Slow(waited) => {
                return write!(
                    f,
                    "Redis has not answered in {} ms, and what was asked for may be done or not; it is tried again. Look at \
                     its SLOWLOG, or raise answer_within",
                    waited.as_millis()
                );
            }
            Self::Answer => {
                return f.write_str(
                    "Redis answered something that it never should: is it Redis, and does nobody else write to the keys of this \
                     store?",
                );
            }
            Self::Server(_) => {}
        }
        f.write_str(match self.code() {
            "OOM" => {
                "Redis is full (OOM: maxmemory is reached), so no login can be renewed; give it more memory, or look what \
                 fills it"
            }
            "MISCONF" => {
                "Redis takes no writes, since it could not save to its disk (MISCONF), so no login can be renewed; look into its \
                 log, make room or mend the rights, then BGSAVE"
            }
            "NOREPLICAS" => {
                "Redis takes no writes, since it has fewer replicas than min-replicas-to-write (NOREPLICAS), so no login can be \
                 renewed; look at its replicas"
            }
            "READONLY" | "MASTERDOWN" => {
                "this Redis is a replica, and the primary is not reached: a failover passes by itself; if it does not pass, \
                 name the primary or the sentinels"
            }
            "LOADING" => "Redis is reading its files after a start; it is tried again",
            "BUSY" => {
                "Redis runs somebody's script and answers nobody (BUSY): wait, or end it (`SCRIPT KILL`); it is tried again"
            }
            "NOAUTH" => {
                "Redis asks for a password, and none was given: redis://:PASSWORD@HOST, or RedisOptions::login"
            }
            "WRONGPASS" => "Redis does not take this user or password",
            "NOPERM" => {
                "the user of Redis lacks a right to a command, a key or a channel of this store: RedisOptions::check says \
                 which"
            }
            "WRONGTYPE" => {
                "the key of this grant holds something else than this store writes: give the store a prefix of its own"
            }
            _ if self.is_right_in_a_script() => {
                "the user of Redis lacks a right to a command that a script of this store uses, so the script broke off in the \
                 middle: RedisOptions::check says which"
            }
            _ if self.is_unknown_command() => {
                "Redis does not have a command of this store: rename-command or a managed service has switched it off; \
                 RedisOptions::check says which"
            }
            _ => "Redis refused a step of this store; its own words are the cause",
        })
    }
}

/// Of a command by itself, and of one in a script.
pub(crate) fn is_unknown_command(said: &str) -> bool {
    said.contains("unknown command") || said.contains("Unknown Redis command called from script")
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::Engine {
            kind: trouble.kind(),
            what: trouble.to_string().into(),
            cause: trouble.cause(),
        }
    }
}

/// The words of a server.
pub(crate) struct Said(pub(crate) String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the servers say it: Redis 7 and Valkey, then Redis 6.2 of a script and of a `pcall` in it.
    #[test]
    fn the_code_is_found_in_what_any_server_says() {
        for (said, code) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "OOM",
            ),
            (
                "ERR Error running script (call to f_9a): @user_script:7: @user_script: 7: -OOM command not allowed when used memory > \
                 'maxmemory'.",
                "OOM",
            ),
            (
                "@user_script: 23: -READONLY You can't write against a read only replica.",
                "READONLY",
            ),
            (
                "ERR Error running script (call to f_9a): @user_script:7: WRONGTYPE Operation against a key holding the wrong \
                 kind of value",
                "WRONGTYPE",
            ),
            ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ] {
            assert_eq!(Trouble::Server(said.to_owned()).code(), code, "{said}");
        }
    }

    #[test]
    fn a_grant_that_a_server_quotes_is_not_told() {
        let of = |said: &[u8]| {
            let value = redis::parse_redis_value(said).unwrap();
            let error: StoreError = Trouble::of(value.extract_error().unwrap_err()).into();
            format!("{error:?}")
        };
        let quoted = of(b"-ERR no command EVALSHA ab 1 k {\"access_token\":\"hidden\"}\r\n");
        assert!(
            quoted.contains("ERR") && !quoted.contains("hidden"),
            "{quoted}"
        );
        let told = of(b"-ERR no command EVALSHA\r\n");
        assert!(told.contains("no command EVALSHA"), "{told}");
    }
}
