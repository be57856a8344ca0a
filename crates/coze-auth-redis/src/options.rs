//! Where Redis is, how to log in to it, and how long to wait.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::lease::{LONGEST_LEASE, SHORTEST_LEASE};
use crate::seal::SealKeys;
use crate::settings::SettingsError;

const URL: &str = "Redis URL";
const SENTINEL: &str = "address of a sentinel";
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// The longest prefix: it stands in each key and channel.
const PREFIX_MAX: usize = 64;

/// Host and port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// User and password of a server. A password without a user is that of `default`.
#[derive(Clone, Default)]
pub(crate) struct Login {
    pub(crate) username: Option<Box<str>>,
    pub(crate) password: Option<Arc<Zeroizing<String>>>,
}

/// Where the primary is.
#[derive(Clone)]
pub(crate) enum Place {
    /// Here.
    At(Address),
    /// Where these sentinels say.
    Sentinels {
        addresses: Vec<Address>,
        /// What they know it by.
        name: Box<str>,
        login: Login,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Sentinels {
                addresses, name, ..
            } => {
                let all: Vec<String> = addresses.iter().map(Address::to_string).collect();
                write!(f, "{name} of {}", all.join(" "))
            }
        }
    }
}

/// Where Redis (or Valkey) is, how to log in to it, and how long to wait. Nothing is connected before the first call.
///
/// ```
/// use std::time::Duration;
///
/// use coze_auth_redis::RedisOptions;
///
/// # fn main() -> Result<(), coze_auth_redis::SettingsError> {
/// # let password = || "of-your-secret-store".to_owned();
/// let options = RedisOptions::from_url("rediss://redis.internal:6380/2")? // TLS, database 2
///     .login("coze", password())?
///     .ca_file("/etc/coze/redis-ca.pem")
///     .prefix("shop:")?
///     .answer_within(Duration::from_secs(1));
/// assert_eq!(format!("{options:?}"), r#"RedisOptions("rediss://coze@redis.internal:6380/2", prefix "shop:")"#);
///
/// let sentinels = ["s1.internal", "s2.internal", "s3.internal:26380"];
/// let options = RedisOptions::sentinel(sentinels, "mymaster")?.login("coze", password())?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) place: Place,
    pub(crate) tls: bool,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) login: Login,
    pub(crate) database: u32,
    pub(crate) prefix: Box<str>,
    pub(crate) connect_within: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) keys: Option<Arc<SealKeys>>,
    pub(crate) lease: Duration,
    pub(crate) keep_for: Duration,
}

impl RedisOptions {
    fn at(place: Place) -> Self {
        Self {
            place,
            tls: false,
            ca_file: None,
            client_certificate: None,
            login: Login::default(),
            database: 0,
            prefix: "coze:".into(),
            connect_within: Duration::from_secs(3),
            // A planned failover holds writes back for more than half a second.
            answer_within: Duration::from_secs(2),
            keys: None,
            lease: Duration::from_secs(10),
            keep_for: KEEP_FOR,
        }
    }

    /// A server by its URL: `redis://` or, with TLS, `rediss://`, then `user:password@` or `:password@`, host, port (6379), and
    /// the number of the database behind a `/` (0). `valkey://` and `valkeys://` mean the same.
    ///
    /// The URL is read strictly: what would be passed over or taken for something else is refused.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], which never shows the URL, if
    ///
    /// * it has an option behind a `?`, but for `protocol=resp3` (which is what is spoken anyway): the options are methods here;
    /// * it has something behind a `#`, such as `#insecure`, which would switch the check of certificates off;
    /// * it has a user and no password, as `redis://secret@host` does, unless [`login`](Self::login) is the place of both;
    /// * a `%` in user or password is not followed by two hexadecimal digits, or a `/`, `?` or `#` stands there as it is (`%2F`,
    ///   `%3F`, `%23`);
    /// * it names several hosts, a cluster, sentinels or a unix socket: this store was not tested over a cluster nor over a socket, and
    ///   [`sentinel`](Self::sentinel) takes sentinels.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        let url = Zeroizing::new(url.trim_ascii().to_owned());
        let parts = parse(&url).map_err(|why| SettingsError::new(URL, why))?;
        Ok(Self {
            tls: parts.tls,
            login: parts.login,
            database: parts.database,
            ..Self::at(Place::At(parts.address))
        })
    }

    /// The primary that sentinels watch under this name. They are given as host or `host:port` (26379) each, and asked in turn
    /// until one answers; anew whenever a connection is lost or a server says that it is a replica.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if there is none, if an address is not a host and port, or if the name is empty or has a
    /// character that Sentinel does not take.
    pub fn sentinel<S: AsRef<str>>(
        addresses: impl IntoIterator<Item = S>,
        name: &str,
    ) -> Result<Self, SettingsError> {
        let addresses = addresses
            .into_iter()
            .map(|one| {
                let one = one.as_ref().trim_ascii();
                let why = match one {
                    url if url.contains("://") || url.contains('@') => {
                        "is a URL; give host or host:port, user and password by sentinel_login, and TLS by tls"
                            .to_owned()
                    }
                    list if list.contains(',') => "is a list; give each by itself".to_owned(),
                    one => match address(one, SENTINEL_PORT) {
                        Ok(address) => return Ok(address),
                        Err(why) => why,
                    },
                };
                Err(SettingsError::new(SENTINEL, why))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(SettingsError::new(
                SENTINEL,
                "there is none; give at least one, better three",
            ));
        }
        // Sentinel's own rule for names (`sentinelIsValidName` has letters, digits and `.-_`).
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || !name.bytes().all(valid) {
            return Err(SettingsError::new(
                "name of the primary",
                "is what `sentinel monitor` calls it: letters, digits and -._, such as mymaster",
            ));
        }
        Ok(Self::at(Place::Sentinels {
            addresses,
            name: name.into(),
            login: Login::default(),
        }))
    }

    /// User and password of the server, as they are: nothing is escaped here. An empty user is `default`.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if the password is empty, or if the user has white space in it.
    pub fn login(
        mut self,
        username: &str,
        password: impl Into<String>,
    ) -> Result<Self, SettingsError> {
        self.login = login(username, password.into())?;
        Ok(self)
    }

    /// User and password of the sentinels, if they ask for one: those of the server are not sent to them.
    ///
    /// # Errors
    ///
    /// As for [`login`](Self::login), and if the store was given a server and not sentinels.
    pub fn sentinel_login(
        mut self,
        username: &str,
        password: impl Into<String>,
    ) -> Result<Self, SettingsError> {
        let given = login(username, password.into())?;
        match &mut self.place {
            Place::Sentinels { login, .. } => *login = given,
            Place::At(_) => {
                return Err(SettingsError::new(
                    "login of the sentinels",
                    "the store was given a server and not sentinels; RedisOptions::sentinel takes them",
                ));
            }
        }
        Ok(self)
    }

    /// Speaks TLS with the server, and with the sentinels if there are some. `rediss://` has said so already.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// A file with the certificates of the CAs that may sign the server's, in PEM: these alone, in the place of those that the operating
    /// system trusts. It is read at each connection, so a new CA needs no restart. It implies [`tls`](Self::tls).
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self.tls()
    }

    /// Files with our own certificate (with its intermediate certificates) and its private key, in PEM, for a server that asks for one:
    /// Redis does unless it has `tls-auth-clients no`. It implies [`tls`](Self::tls).
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client_certificate = Some((certificate.into(), key.into()));
        self.tls()
    }

    /// The number of the database. 0 unless the URL says another.
    #[must_use]
    pub fn database(mut self, database: u32) -> Self {
        self.database = database;
        self
    }

    /// What all keys and channels of the store begin with; `coze:` unless it is said. Stores of other prefixes do not see each other.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if it is empty, longer than 64 bytes, or has other characters than letters, digits and `-._:/`: some have a
    /// meaning in the patterns of an ACL or in the hash tags of a cluster.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, SettingsError> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
        if prefix.is_empty() || prefix.len() > PREFIX_MAX || !prefix.bytes().all(valid) {
            return Err(SettingsError::new(
                "prefix of the keys",
                "must be 1 to 64 letters, digits or -._:/, such as coze:",
            ));
        }
        self.prefix = prefix.into();
        Ok(self)
    }

    /// How long a connection may take, from the look-up of the name to the login: 3 seconds unless it is said, at least 10
    /// milliseconds and at most an hour.
    #[must_use]
    pub fn connect_within(mut self, limit: Duration) -> Self {
        self.connect_within = limit.clamp(LEAST, MOST);
        self
    }

    /// How long an answer may take: 2 seconds unless it is said, at least 10 milliseconds and at most an hour. A planned failover
    /// holds writes back for more than half a second.
    #[must_use]
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit.clamp(LEAST, MOST);
        self
    }

    /// How long a holder has a grant to itself after it has died: 10 seconds unless it is said. While it lives it extends
    /// that, each third of it. At least a tenth of a second, at most a minute.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(SHORTEST_LEASE, LONGEST_LEASE);
        self
    }

    /// How long a grant with a refresh token is kept after it was stored last: 90 days unless it is said. Coze's refresh tokens live for
    /// 30. One without a refresh token is kept until it ends. At least an hour, at most ten years.
    #[must_use]
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.keep_for = time.clamp(KEEP_FOR_LEAST, KEEP_FOR_MOST);
        self
    }

    /// Seals stored values with these keys.
    #[must_use]
    pub fn sealed(mut self, keys: SealKeys) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// The settings as a whole can work. Each by itself was looked at when it was given.
    pub(crate) fn validated(&self) -> Result<(), SettingsError> {
        match &self.login {
            // `redis://secret@host`: it connects, and each command is refused.
            Login {
                username: Some(_),
                password: None,
            } => Err(SettingsError::new(
                URL,
                "has a user and no password. If what stands before the @ is the password, write \
                 redis://:PASSWORD@HOST; if it is the user, give the password as well (login)",
            )),
            _ => Ok(()),
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KEEP_FOR: Duration = DAY.saturating_mul(90);
const KEEP_FOR_LEAST: Duration = Duration::from_secs(60 * 60);
const KEEP_FOR_MOST: Duration = DAY.saturating_mul(3653);

/// Maximum time limit: beyond what a clock can tell, adding to it panics.
const MOST: Duration = Duration::from_secs(60 * 60);
/// The least time limit: with none at all nothing would ever succeed.
const LEAST: Duration = Duration::from_millis(10);

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let user = match &self.login.username {
            // One without a password may be the password itself: `redis://PASSWORD@HOST`.
            Some(_) if self.login.password.is_none() => "***@".to_owned(),
            Some(user) => format!("{user}@"),
            None => String::new(),
        };
        let url = format!("{scheme}://{user}{}/{}", self.place, self.database);
        write!(f, "RedisOptions({url:?}, prefix {:?})", self.prefix)
    }
}

fn login(username: &str, password: String) -> Result<Login, SettingsError> {
    let password = Zeroizing::new(password);
    let wrong = |why| Err(SettingsError::new("login", why));
    if username.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("the user has white space in it, which no user of an ACL has");
    }
    if password.is_empty() {
        return wrong("the password is empty");
    }
    if password.ends_with(['\n', '\r']) {
        return wrong("the password ends with a line break (of the file that it was read from?)");
    }
    Ok(Login {
        username: (!username.is_empty()).then(|| username.into()),
        password: Some(Arc::new(password)),
    })
}

struct Parts {
    tls: bool,
    login: Login,
    address: Address,
    database: u32,
}

/// Reads a URL by hand: the `url` crate takes `redis://user:12#34@host` for the host `user`, and `p%ZZ` for a password.
fn parse(url: &str) -> Result<Parts, String> {
    let no = |why: &str| Err(why.to_owned());
    if url.is_empty() {
        return no("is empty");
    }
    if url.starts_with(['"', '\'', '`']) {
        return no("is in quotes; set it without them");
    }
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return no("has white space in it");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return no("has no redis:// or rediss:// in front");
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" | "redis+unix" | "valkey+unix" | "redis+socket" => {
            return no("is a unix socket, over which this store was not tested; use redis://HOST");
        }
        scheme if scheme.contains("sentinel") => {
            return no(
                "is a URL of sentinels, which Redis clients write in different ways: give them to \
                       RedisOptions::sentinel",
            );
        }
        scheme if scheme.contains("cluster") => return no(CLUSTER),
        _ => return no("does not begin with redis://, rediss://, valkey:// or valkeys://"),
    };
    let (authority, tail) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if tail.contains('@') {
        return no(
            "has an @ behind the host: in a user or password, write %2F for /, %3F for ?, %23 for # and %40 for @, or \
                   give both by login",
        );
    }
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (url_login(login)?, host),
        None => (Login::default(), authority),
    };
    if host.contains(',') {
        return no(
            "names several hosts. If they are sentinels, give them to RedisOptions::sentinel; a cluster was \
                   not tested with this store",
        );
    }
    let address = address(host, PORT)?;
    let (path, fragment) = tail.split_once('#').unwrap_or((tail, ""));
    match fragment {
        "" => {}
        "insecure" => {
            return no(
                "has #insecure, which would accept any certificate; give the CA of the server by ca_file",
            );
        }
        _ => return no("has something behind a #, which does not belong there"),
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    for option in query.split('&').filter(|option| !option.is_empty()) {
        known(option)?;
    }
    let database = match path.strip_prefix('/').unwrap_or_default() {
        "" => 0,
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => number
            .parse()
            .map_err(|_| "has a number of a database that is too large".to_owned())?,
        _ => {
            return no(
                "has something behind the host that is not the number of a database, such as /0",
            );
        }
    };
    Ok(Parts {
        tls,
        login,
        address,
        database,
    })
}

const CLUSTER: &str = "is of a cluster, over which this store was not tested; use a primary with replicas (RedisOptions::sentinel)";

/// An option of a URL: what others write there, by name; whatever else stands there is not shown.
fn known(option: &str) -> Result<(), String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let instead = match name.to_ascii_lowercase().as_str() {
        "protocol" => match value {
            "3" | "resp3" => return Ok(()),
            _ => "protocol is RESP3 always, since only it notices a lost connection",
        },
        "db" | "database" => "the database stands behind the host, as in redis://HOST/3",
        "user" | "username" | "pass" | "password" => {
            "user and password stand before the host, or are given by login"
        }
        "ssl" | "tls" => "TLS is rediss://",
        "ssl_ca_certs" | "cacert" | "ca" => "a CA is given by ca_file",
        "ssl_cert_reqs" | "ssl_check_hostname" | "insecure" => {
            "certificates are always checked; a CA is given by ca_file"
        }
        "timeout" | "socket_timeout" | "read_timeout" | "write_timeout" => {
            "the time for an answer is given by answer_within"
        }
        "socket_connect_timeout" | "connect_timeout" | "dial_timeout" => {
            "the time for a connection is given by connect_within"
        }
        "master" | "mastername" | "mymaster" | "master_name" | "sentinel_master_id" => {
            "sentinels are given to RedisOptions::sentinel"
        }
        "prefix" | "key_prefix" | "keyprefix" => "a prefix is given by prefix",
        _ => {
            return Err(
                "has an option behind the ? that this store does not know; take it out, since passing it over could hide a mistake"
                    .to_owned(),
            );
        }
    };
    Err(format!(
        "has an option behind the ? that does not belong there: {instead}"
    ))
}

fn url_login(login: &str) -> Result<Login, String> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    if password == Some("") {
        return Err("has an empty password".to_owned());
    }
    if user.is_empty() && password.is_none() {
        return Err("has an @ with nothing before it".to_owned());
    }
    let username = decoded(user, "user")?;
    if username.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("has white space in the user".to_owned());
    }
    Ok(Login {
        username: (!user.is_empty()).then(|| username.as_str().into()),
        password: password
            .map(|password| decoded(password, "password").map(Arc::new))
            .transpose()?,
    })
}

/// Each `%` with its two digits as the byte that they mean.
fn decoded(text: &str, what: &str) -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| (byte as char).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(format!(
                "has a % in the {what} that is not followed by two hexadecimal digits; write %25 for % itself"
            ));
        };
        bytes.push((high << 4 | low) as u8);
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(format!(
            "has a {what} that is not UTF-8 when its % are decoded"
        )),
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn address(text: &str, port: u16) -> Result<Address, String> {
    let no = |why: &str| Err(why.to_owned());
    let (host, given) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((host, behind)) = rest.split_once(']') else {
                return no("has a [ without its ]");
            };
            if host.parse::<Ipv6Addr>().is_err() {
                return no("has something in brackets that is not an IPv6 address");
            }
            match behind.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if behind.is_empty() => (host, None),
                None => return no("has something behind the ] that is not a port"),
            }
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return no(
                    "has more than one : in the host; an IPv6 address stands in brackets, and a : in a password needs its @ behind it",
                );
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return no("has no host");
    }
    let in_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !text.starts_with('[') && !host.chars().all(in_name) {
        return no("has a host with a character that no name of a host has");
    }
    let unspecified = host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_unspecified())
        || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_unspecified());
    if unspecified {
        return no("has an address that servers listen at and nobody connects to; name the host");
    }
    let port = match given {
        None => port,
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => port,
            _ => return no("has a port that is not a number from 1 to 65535"),
        },
    };
    Ok(Address {
        host: host.into(),
        port,
    })
}

#[cfg(test)]
mod tests;
