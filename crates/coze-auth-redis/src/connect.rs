//! A connection to the primary: found, encrypted, logged in, and asked whether it is the primary.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::error::{ErrorKind, report};
use coze_auth_store::Cause;
use redis::aio::{AsyncStream, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError, Value,
    from_redis_value_ref,
};
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::options::{Address, Login, Place, RedisOptions};
use crate::settings::SettingsError;
use crate::tls;
use crate::trouble::{LONGEST, Said, is_unknown_command};

/// How long to wait at least for what passes by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// A connection, and the task that drives it, which ends with this.
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    /// What the server said of itself when it was connected.
    pub(crate) hello: Hello,
    driver: JoinHandle<()>,
}

impl Link {
    /// The connection was lost, or nothing was answered in time.
    pub(crate) fn lost(&self, error: RedisError) -> ConnectError {
        ConnectError::Network {
            to: self.hello.address.clone(),
            cause: Arc::new(io::Error::other(error)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a server says of itself in its answer to `HELLO`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello {
    /// Where it is.
    pub(crate) address: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub(crate) mode: String,
    /// `master` or `replica`.
    pub(crate) role: String,
}

/// Connects to the primary within the time of the options. Where there are sentinels, they are asked for it at each call.
///
/// A sentinel may name a server that is not the primary any more, and a server may have become a replica while its name
/// stayed the same. So the server itself is asked, and a replica is refused.
pub(crate) async fn connect(
    options: &RedisOptions,
    config: AsyncConnectionConfig,
) -> Result<Link, ConnectError> {
    options.validated()?;
    let connecting = async {
        let address = match &options.place {
            Place::At(address) => address.clone(),
            Place::Sentinels {
                addresses,
                name,
                login,
            } => primary(options, addresses, name, login).await?,
        };
        let link = open(options, &address, &options.login, options.database, config).await?;
        let to = address.to_string();
        match (link.hello.mode.as_str(), link.hello.role.as_str()) {
            ("cluster", _) => Err(ConnectError::Cluster { to }),
            ("sentinel", _) => Err(ConnectError::Sentinel { to }),
            (_, "replica" | "slave") => Err(ConnectError::Replica { to }),
            _ => Ok(link),
        }
    };
    match timeout(options.connect_within, connecting).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout {
            to: options.place.to_string(),
            after: options.connect_within,
            tls: options.tls,
        }),
    }
}

/// Where the sentinels say that the primary is. They are asked in turn until one knows it.
async fn primary(
    options: &RedisOptions,
    sentinels: &[Address],
    name: &str,
    login: &Login,
) -> Result<Address, ConnectError> {
    // The last one, and the server after it, have their share, too.
    let share = options.connect_within / (sentinels.len() as u32 + 1);
    let mut failed = Vec::new();
    for address in sentinels {
        match timeout(share, ask(options, address, name, login)).await {
            Ok(Ok(Some(primary))) => return Ok(primary),
            Ok(Ok(None)) => {}
            // Ours, whomever we ask.
            Ok(Err(error @ ConnectError::Settings(_))) => return Err(error),
            Ok(Err(error)) => failed.push(error),
            Err(_) => failed.push(ConnectError::Timeout {
                to: address.to_string(),
                after: share,
                tls: options.tls,
            }),
        }
    }
    match failed.len() == sentinels.len() {
        true => Err(ConnectError::NoSentinel { failed }),
        false => Err(ConnectError::UnknownPrimary { name: name.into() }),
    }
}

/// Asks one sentinel. None: it does not watch a primary of this name, at the moment at least.
async fn ask(
    options: &RedisOptions,
    sentinel: &Address,
    name: &str,
    login: &Login,
) -> Result<Option<Address>, ConnectError> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(options.answer_within));
    let mut link = open(options, sentinel, login, 0, config).await?;
    if link.hello.mode != "sentinel" {
        let to = sentinel.to_string();
        return Err(ConnectError::NotASentinel { to });
    }
    let answer: Option<(String, u16)> = redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(name)
        .query_async(&mut link.connection)
        .await
        .map_err(|error| ConnectError::of(sentinel, options.tls, login, error))?;
    Ok(answer.map(|(host, port)| Address {
        host: host.into(),
        port,
    }))
}

/// Connects to one server, and asks what it is.
async fn open(
    options: &RedisOptions,
    address: &Address,
    login: &Login,
    database: u32,
    config: AsyncConnectionConfig,
) -> Result<Link, ConnectError> {
    let mut info = RedisConnectionInfo::default()
        // Only RESP3 notices a lost connection without a call, and has messages on the same connection.
        .set_protocol(ProtocolVersion::RESP3)
        // `CLIENT SETINFO` would be one more right, or a line in the server's `ACL LOG` for each connection.
        .set_skip_set_lib_name();
    if let Some(username) = &login.username {
        info = info.set_username(username);
    }
    if let Some(password) = &login.password {
        info = info.set_password(password.as_str());
    }
    let stream = stream(options, address).await?;
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
        .await
        .map_err(|error| ConnectError::of(address, options.tls, login, error))?;
    let mut link = Link {
        connection,
        hello: Hello::default(),
        driver: tokio::spawn(driver),
    };
    let hello: HashMap<String, Value> = redis::cmd("HELLO")
        .query_async(&mut link.connection)
        .await
        .map_err(|error| ConnectError::of(address, options.tls, login, error))?;
    let text = |name: &str| match hello.get(name) {
        Some(value) => from_redis_value_ref(value).unwrap_or_default(),
        None => String::new(),
    };
    link.hello = Hello {
        address: address.to_string(),
        mode: text("mode"),
        role: text("role"),
    };
    if database != 0 {
        // Not by the client library, which keeps the code of a refusal to itself.
        let selected: Result<(), RedisError> = redis::cmd("SELECT")
            .arg(database)
            .query_async(&mut link.connection)
            .await;
        selected.map_err(
            |error| match ConnectError::of(address, options.tls, login, error) {
                ConnectError::Answer { to, cause } if !is_unknown_command(&cause.to_string()) => {
                    ConnectError::Database { to, database }
                }
                other => other,
            },
        )?;
    }
    Ok(link)
}

async fn stream(
    options: &RedisOptions,
    address: &Address,
) -> Result<Pin<Box<dyn AsyncStream + Send>>, ConnectError> {
    let network = |cause: io::Error| ConnectError::Network {
        to: address.to_string(),
        cause: Arc::new(cause),
    };
    let connected = TcpStream::connect((&*address.host, address.port)).await;
    let stream = connected.map_err(network)?;
    stream.set_nodelay(true).map_err(network)?;
    if !options.tls {
        return Ok(Box::pin(stream));
    }
    let name = ServerName::try_from(address.host.to_string())
        .map_err(|_| SettingsError::new("host", "is not a name that a certificate can have"))?;
    // It reads files: those of the options, or all that the system trusts.
    let for_config = options.clone();
    let config = spawn_blocking(move || tls::config(&for_config)).await;
    let config = config.map_err(|error| network(io::Error::other(error)))??;
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Box::pin(stream)),
        Err(cause) => Err(network(cause)),
    }
}

/// An answer to a login. A server that does not know the command, or a proxy before it, may quote it, cut off wherever it likes. What is not an
/// error at all is told by the client library with the whole of it.
fn to_a_login(login: &Login, error: &RedisError) -> Said {
    let text = error.to_string();
    let password = login.password.as_ref().map(|password| password.as_str());
    let quotes = text.to_ascii_uppercase().contains("AUTH")
        || password.is_some_and(|password| text.contains(password));
    let own = match (error.code(), error.detail()) {
        // Its words have a password in them, though not ours.
        (Some("DENIED"), _) => {
            let why = "it is in protected mode (DENIED), which takes nobody from another machine: give its default user a password \
                       (requirepass), or users of their own";
            return Said(why.to_owned());
        }
        _ if quotes => None,
        // The rest of what the server said.
        (Some("ERR"), Some(detail)) => Some(detail.to_owned()),
        (Some(code), Some(detail)) => Some(format!("{code} {detail}")),
        (Some(code), None) => Some(code.to_owned()),
        (None, _) => None,
    };
    let said = match own {
        Some(said) if is_unknown_command(&said) => {
            format!("it is too old (Redis 6 or newer is needed), or rename-command has switched a command off: {said}")
        }
        Some(said) => said,
        None => "it may be too old (Redis 6 or newer is needed), or another program than Redis; its words are left out, since they may \
                 quote the login"
            .to_owned(),
    };
    Said(said.chars().take(LONGEST).collect())
}

/// Whether what a server said at the login passes only by a hand.
fn is_setting(said: &str) -> bool {
    is_unknown_command(said) || said.contains("(DENIED)")
}

/// Why the primary was not reached. It never holds a password.
#[derive(Clone)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting cannot work, such as a CA file without a certificate.
    Settings(SettingsError),
    /// The network's, or that of TLS.
    Network {
        /// Which server: `host:port`.
        to: String,
        /// What the system or TLS said.
        cause: Arc<io::Error>,
    },
    /// It took too long: name, network, TLS and login together.
    Timeout {
        /// Which server.
        to: String,
        /// How long was waited.
        after: Duration,
        /// Whether TLS was spoken.
        tls: bool,
    },
    /// The server closed the connection before the login was done.
    Closed {
        /// Which server.
        to: String,
        /// Whether TLS was spoken.
        tls: bool,
    },
    /// The server does not take this user or password, or asks for one and none was given.
    Login {
        /// Which server.
        to: String,
        /// Its code: `WRONGPASS`, `NOAUTH`, `NOPERM`.
        code: String,
    },
    /// The server does not have this database.
    Database {
        /// Which server.
        to: String,
        /// The number of the database.
        database: u32,
    },
    /// The server answered the login with something else.
    Answer {
        /// Which server.
        to: String,
        /// What it said, unless that may quote the login.
        cause: Cause,
    },
    /// The server is a replica.
    Replica {
        /// Which server.
        to: String,
    },
    /// The server is a node of a cluster, over which this store was not tested.
    Cluster {
        /// Which server.
        to: String,
    },
    /// The server is a sentinel.
    Sentinel {
        /// Which server.
        to: String,
    },
    /// What was given as a sentinel is not one.
    NotASentinel {
        /// Which server.
        to: String,
    },
    /// None of the sentinels answered.
    NoSentinel {
        /// Why not, for each in the order in which they were asked.
        failed: Vec<Self>,
    },
    /// None of the sentinels that answered watches a primary of this name.
    UnknownPrimary {
        /// The name.
        name: String,
    },
}

impl ConnectError {
    fn of(address: &Address, tls: bool, login: &Login, error: RedisError) -> Self {
        let to = address.to_string();
        match error.code() {
            Some(code @ ("WRONGPASS" | "NOAUTH" | "NOPERM")) => Self::Login {
                to,
                code: code.to_owned(),
            },
            _ if error.is_connection_dropped() => Self::Closed { to, tls },
            _ if error.is_io_error() => Self::Network {
                to,
                cause: Arc::new(io::Error::other(error)),
            },
            _ => Self::Answer {
                to,
                cause: Arc::new(to_a_login(login, &error)),
            },
        }
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Network { cause, .. } if Obstacle::of(cause).is_setting() => ErrorKind::Settings,
            // One that is away may come back, whatever is wrong with the others.
            Self::NoSentinel { failed } => {
                let passes = |error: &&Self| matches!(error.kind(), ErrorKind::Wait(_));
                let wait = failed.iter().find(passes).map(Self::kind);
                wait.unwrap_or(ErrorKind::Settings)
            }
            Self::Answer { cause, .. } if is_setting(&cause.to_string()) => ErrorKind::Settings,
            Self::Settings(_)
            | Self::Login { .. }
            | Self::Database { .. }
            | Self::Cluster { .. }
            | Self::Sentinel { .. }
            | Self::NotASentinel { .. } => ErrorKind::Settings,
            Self::Network { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Answer { .. }
            | Self::Replica { .. }
            | Self::UnknownPrimary { .. } => ErrorKind::Wait(PAUSE),
        }
    }
}

/// What TLS met, as far as there is something to do about it.
enum Obstacle {
    Issuer,
    Name,
    Time,
    Asks,
    Refuses,
    NotTls,
    Other,
}

impl Obstacle {
    fn of(cause: &io::Error) -> Self {
        let Some(inner) = cause.get_ref() else {
            return Self::Other;
        };
        match inner.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(error)) => match error {
                // A CA that was made anew under its old name is a bad signature.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::Name,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Time,
                _ => Self::Other,
            },
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls,
            // What the server thinks of ours. With TLS 1.3 it is told with the first answer, of which the client library keeps
            // the words alone.
            _ => match inner.to_string().strip_prefix("received fatal alert: ") {
                Some("CertificateRequired") => Self::Asks,
                Some(
                    "UnknownCA"
                    | "BadCertificate"
                    | "UnsupportedCertificate"
                    | "CertificateRevoked"
                    | "CertificateExpired"
                    | "CertificateUnknown"
                    | "AccessDenied",
                ) => Self::Refuses,
                _ => Self::Other,
            },
        }
    }

    const fn is_setting(&self) -> bool {
        !matches!(self, Self::Other)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(f),
            Self::Network { to, cause } => {
                write!(f, "no connection to Redis at {to}: ")?;
                match Obstacle::of(cause) {
                    Obstacle::Issuer => f.write_str(
                        "its certificate is signed by a CA that is not trusted here; give the file of the CA by ca_file",
                    ),
                    Obstacle::Name => f.write_str(
                        "its certificate is for other names than this one; connect by a name that stands in it (sentinels \
                         announce names instead of addresses with announce-hostnames)",
                    ),
                    Obstacle::Time => f.write_str(
                        "its certificate has expired or is not valid yet; check it and the clock of this machine",
                    ),
                    Obstacle::Asks => f.write_str(
                        "it asks for a certificate of ours: give one by client_certificate, or set tls-auth-clients no \
                         there",
                    ),
                    Obstacle::Refuses => f.write_str(
                        "it refuses our certificate (client_certificate): it has expired, or its CA is not in the server's \
                         tls-ca-cert-file",
                    ),
                    Obstacle::NotTls => {
                        f.write_str("it does not speak TLS at this port; name its TLS port, or use redis://")
                    }
                    Obstacle::Other => match cause.get_ref() {
                        Some(inner) => write!(f, "{inner}"),
                        None => write!(f, "{}", cause.kind()),
                    },
                }
            }
            Self::Timeout { to, after, tls } => write!(
                f,
                "no connection to Redis at {to} within {} ms: it is away or slow, {}",
                after.as_millis(),
                match tls {
                    true => "or it does not speak TLS at this port",
                    false => "or something on the way drops what is sent",
                }
            ),
            Self::Closed { to, tls: false } => write!(
                f,
                "Redis at {to} closed the connection before the login was done: it is ending, or it speaks TLS at this \
                 port (rediss://, or RedisOptions::tls)"
            ),
            Self::Closed { to, tls: true } => write!(
                f,
                "Redis at {to} closed the connection before the login was done: it is ending, or does not speak TLS at \
                 this port"
            ),
            Self::Login { to, code } => {
                write!(f, "Redis at {to} refuses the login ({code}): ")?;
                f.write_str(match code.as_str() {
                    "NOAUTH" => {
                        "it asks for a password and none was given (RedisOptions::login; for sentinels sentinel_login)"
                    }
                    "NOPERM" => {
                        "the user lacks a right: +select for a database other than 0; at a sentinel \
                         +sentinel|get-master-addr-by-name"
                    }
                    _ => "user or password is wrong, or the user is disabled",
                })
            }
            Self::Database { to, database } => write!(
                f,
                "Redis at {to} does not have a database {database}: take a lower number, or raise `databases` there"
            ),
            Self::Answer { to, cause } => write!(f, "Redis at {to} does not let us in: {cause}"),
            Self::Replica { to } => write!(
                f,
                "Redis at {to} is a replica, and logins are kept at the primary alone: in a failover this passes; if it \
                 lasts, name the primary or the sentinels"
            ),
            Self::Cluster { to } => write!(
                f,
                "Redis at {to} is a node of a cluster, over which this store was not tested: use a primary with replicas"
            ),
            Self::Sentinel { to } => write!(
                f,
                "Redis at {to} is a sentinel and keeps nothing: give it to RedisOptions::sentinel"
            ),
            Self::NotASentinel { to } => write!(
                f,
                "Redis at {to} is not a sentinel (their port is 26379); give a server itself to RedisOptions::from_url"
            ),
            Self::NoSentinel { failed } => {
                let all: Vec<String> = failed.iter().map(Self::to_string).collect();
                write!(f, "none of the sentinels answered: {}", all.join("; "))
            }
            Self::UnknownPrimary { name } => write!(
                f,
                "the sentinels do not know a primary named {name}: they have just started, or `sentinel monitor` has \
                 another name"
            ),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Network { cause, .. } => Some(&**cause),
            // They have spoken in `Display`.
            Self::NoSentinel { failed } => failed.last()?.source(),
            _ => None,
        }
    }
}

impl From<SettingsError> for ConnectError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error)
    }
}
