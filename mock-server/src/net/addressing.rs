//! The addresses of the mock: where it listens, and which URL clients use.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use http::header::FORWARDED;
use url::Url;

use super::tls::Tls;
use crate::error::SetupError;

/// The addresses of the mock, which are the same for all worlds.
#[derive(Clone, Default)]
pub(crate) struct Addressing {
    /// Scheme, host, port and path for clients, without a slash at the end.
    pub(crate) public_url: Option<String>,
    pub(crate) trust_forwarded: bool,
    pub(crate) admin_token: Option<String>,
    /// True if the mock made the token, so that it has to be printed.
    pub(crate) made_token: bool,
    pub(crate) tls: Option<Arc<Tls>>,
    /// The host to which the socket is bound, once the mock listens.
    pub(crate) bound: OnceLock<String>,
    /// True if other machines reach the socket, once the mock listens.
    pub(crate) reached_by_others: OnceLock<bool>,
    /// Further names of the mock, without ports.
    pub(crate) allowed_hosts: Vec<String>,
    /// The origins whose pages may call the data plane.
    pub(crate) allowed_origins: Origins,
}

/// Without the token, since settings are logged and shown.
impl fmt::Debug for Addressing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addressing")
            .field("public_url", &self.public_url)
            .field("trust_forwarded", &self.trust_forwarded)
            .finish_non_exhaustive()
    }
}

/// What a proxy reports about the request that it received.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) scheme: Option<&'static str>,
    pub(crate) host: Option<String>,
    pub(crate) prefix: String,
}

impl Addressing {
    /// The scheme of the mock's own sockets.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The certificate of the mock's CA, if it has one.
    pub(crate) fn ca_pem(&self) -> Option<&str> {
        self.tls.as_ref()?.ca_pem.as_deref()
    }

    /// Returns true if `authority` names this machine or the mock: a loopback name or address, the host to which the socket
    /// is bound, that of the public URL, or a configured name; for a name `api.…` also `www.…`, which SDKs derive from it.
    pub(crate) fn is_own(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else {
            return false;
        };
        let own = |own: &str| own.eq_ignore_ascii_case(host) || is_www_of(host, own);
        is_loopback_host(host)
            || self.public_authority().and_then(host_of).is_some_and(own)
            || self.bound.get().is_some_and(|bound| own(bound))
            || self.allowed_hosts.iter().any(|name| own(name))
    }

    /// Returns true if clients of the data plane may have found the mock under `authority`. Beside its own names that is one of
    /// Coze's, for which the mock stands; and for a socket that other machines reach an address, or a name without a dot, such as
    /// that of a container. A page of a foreign site cannot have any of these: its site would have to own the name.
    pub(crate) fn is_known_to_clients(&self, authority: &str) -> bool {
        const COZE: [&str; 4] = ["api.coze.cn", "www.coze.cn", "api.coze.com", "www.coze.com"];
        if self.is_own(authority) {
            return true;
        }
        let Some(host) = host_of(authority) else {
            return false;
        };
        let is_address = || host.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified());
        let dotless = || !host.is_empty() && host.bytes().all(is_of_name);
        COZE.iter().any(|name| name.eq_ignore_ascii_case(host))
            || self.reached_by_others.get() == Some(&true) && (dotless() || is_address())
    }

    /// Returns true if `authority` is that of the public URL, port included.
    pub(crate) fn is_public_authority(&self, authority: &str) -> bool {
        self.public_authority() == Some(authority)
    }

    /// Host and port of the public URL, as the URL parser wrote them.
    fn public_authority(&self) -> Option<&str> {
        let (_, rest) = self.public_url.as_deref()?.split_once("://")?;
        rest.split('/').next()
    }

    /// What a proxy reports in headers; empty unless proxies are trusted, since any client can send these headers.
    pub(crate) fn forwarded(&self, headers: &HeaderMap) -> Forwarded {
        if !self.trust_forwarded {
            return Forwarded::default();
        }
        let first = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            // The proxy nearest to the client writes first.
            Some(value.split(',').next()?.trim().to_owned())
        };
        let standard = first(FORWARDED.as_str()).unwrap_or_default();
        let pair = |wanted: &str| {
            let mut pairs = standard.split(';').filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim().trim_matches('"').to_owned())
        };
        let scheme = pair("proto").or_else(|| first("x-forwarded-proto"));
        let scheme = scheme.and_then(|scheme| {
            let known = ["http", "https"].into_iter();
            known
                .into_iter()
                .find(|known| scheme.eq_ignore_ascii_case(known))
        });
        let host = pair("host").or_else(|| first("x-forwarded-host"));
        let prefix = first("x-forwarded-prefix").unwrap_or_default();
        let prefix = prefix.trim_end_matches('/');
        Forwarded {
            scheme,
            host: host.filter(|host| is_plain_host(host)),
            prefix: match is_plain_path(prefix) {
                true => prefix.to_owned(),
                false => String::new(),
            },
        }
    }
}

/// The host of an authority, without the brackets of an IPv6 address. None if it is not a host with or without a port.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_number = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
    fits.then_some(host)
}

/// Returns true if the host is `www.…` and the name `api.…` of the same domain.
fn is_www_of(host: &str, name: &str) -> bool {
    let (Some((www, of)), Some((api, domain))) = (host.split_once('.'), name.split_once('.'))
    else {
        return false;
    };
    www.eq_ignore_ascii_case("www")
        && api.eq_ignore_ascii_case("api")
        && of.eq_ignore_ascii_case(domain)
}

/// Returns true if the host of an authority always leads to this machine.
#[cfg(feature = "shadow")]
pub(crate) fn is_loopback(authority: &str) -> bool {
    host_of(authority).is_some_and(is_loopback_host)
}

/// Returns true if the host always leads to this machine (RFC 6761 §6.3).
pub(crate) fn is_loopback_host(host: &str) -> bool {
    const NAME: &str = "localhost";
    if host.starts_with(|first: char| first.is_ascii_digit() || first == ':') {
        return host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    }
    let Some(at) = host.len().checked_sub(NAME.len()) else {
        return false;
    };
    let (below, end) = (&host.as_bytes()[..at], &host.as_bytes()[at..]);
    end.eq_ignore_ascii_case(NAME.as_bytes())
        && (below.is_empty()
            || below.ends_with(b".") && below.iter().all(|byte| *byte == b'.' || is_of_name(*byte)))
}

/// Returns true if a label of a host name may contain this byte.
const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The origins whose pages may call the data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origins {
    /// Every port of this machine.
    loopback: bool,
    /// As browsers write them; `null` is that of sandboxed frames and of pages of files.
    listed: Vec<String>,
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            loopback: true,
            listed: Vec::new(),
        }
    }
}

impl Origins {
    pub(crate) const fn none() -> Self {
        Self {
            loopback: false,
            listed: Vec::new(),
        }
    }

    /// Adds an origin, or with `loopback` all origins of this machine.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), SetupError> {
        match text {
            "loopback" => self.loopback = true,
            text => self.listed.push(origin(text)?),
        }
        Ok(())
    }

    /// Returns true if pages of this origin may call. An origin is a text: it is not parsed as a URL (RFC 6454 §6.2).
    pub(crate) fn has(&self, origin: &str) -> bool {
        let is_loopback = || {
            let (scheme, authority) = origin.split_once("://")?;
            let host = host_of(authority)?;
            Some(matches!(scheme, "http" | "https") && is_loopback_host(host))
        };
        self.loopback && is_loopback() == Some(true)
            || self.listed.iter().any(|listed| listed == origin)
    }

    /// The list, as it is configured.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let loopback = self.loopback.then_some("loopback");
        loopback
            .into_iter()
            .chain(self.listed.iter().map(String::as_str))
    }
}

/// An origin as browsers write it: without a slash at the end, in lower case, without the port of its scheme.
fn origin(text: &str) -> Result<String, SetupError> {
    if text == "null" {
        return Ok(text.to_owned());
    }
    let wrong = |why| SetupError::AllowedOrigin(text.to_owned(), why);
    let url = Url::parse(text).map_err(|_| wrong("it is not an origin"))?;
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(wrong("it has no host"));
    };
    if !url.username().is_empty()
        || url.password().is_some()
        || !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(wrong("it has more than scheme, host and port"));
    }
    Ok(match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    })
}

/// Checks a name that the mock is to answer to.
pub(crate) fn allowed_host(text: &str) -> Result<String, SetupError> {
    let is_name = |host: &str| {
        !host.is_empty()
            && (host.parse::<IpAddr>().is_ok()
                || host.bytes().all(|byte| byte == b'.' || is_of_name(byte)))
    };
    // The port of a request does not matter.
    match host_of(text).filter(|host| is_name(host)) {
        Some(host) => Ok(host.to_owned()),
        None => Err(SetupError::AllowedHost(text.to_owned())),
    }
}

/// Returns true if a returned URL may contain this host.
pub(crate) fn is_plain_host(host: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']')
    };
    !host.is_empty() && host.bytes().all(allowed)
}

fn is_plain_path(path: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
    path.starts_with('/') && !path.starts_with("//") && path.chars().all(allowed)
}

/// Parses a public URL, and removes a slash at its end.
pub(crate) fn public_url(text: &str) -> Result<String, SetupError> {
    let wrong = |why| SetupError::PublicUrl(text.to_owned(), why);
    let url = Url::parse(text).map_err(|_| wrong("it is not an absolute URL"))?;
    match &url {
        _ if !matches!(url.scheme(), "http" | "https") => {
            Err(wrong("it is neither http nor https"))
        }
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(wrong("it has user info"))
        }
        _ if url.query().is_some() || url.fragment().is_some() => {
            Err(wrong("it has a query or fragment"))
        }
        _ => Ok(url.as_str().trim_end_matches('/').to_owned()),
    }
}

/// Resolves `HOST:PORT` to a socket address, preferably of IPv4, since `localhost` often has both. Unless `anywhere` is
/// true, all addresses of the host have to be on this machine.
pub(crate) fn resolve(text: &str, anywhere: bool) -> Result<SocketAddr, SetupError> {
    let wrong = |why: String| SetupError::ListenAddress(text.to_owned(), why);
    let mut found: Vec<_> = match text.parse::<SocketAddr>() {
        Ok(address) => vec![address],
        Err(_) if !has_port(text) => {
            return Err(wrong(
                "expected HOST:PORT, such as 127.0.0.1:9777".to_owned(),
            ));
        }
        Err(_) => match text.to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(error) => return Err(wrong(format!("the host name cannot be resolved: {error}"))),
        },
    };
    found.sort_by_key(SocketAddr::is_ipv6);
    for address in &found {
        if !anywhere && !address.ip().is_loopback() {
            return Err(SetupError::NotLoopback(*address));
        }
    }
    let first = found.first().copied();
    first.ok_or_else(|| wrong("the host has no address".to_owned()))
}

fn has_port(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    matches!(port, Some(Ok(_)))
}

/// The address at which this machine reaches a socket that is bound to `bound`.
pub(crate) fn reachable(mut bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() {
        bound.set_ip(match bound.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    bound
}

/// The part of `path` below the mount of `base`, a URL of the mock; else the part below `mount`.
pub(crate) fn below<'a>(path: &'a str, base: &str, mount: &str) -> &'a str {
    let base = Url::parse(base).ok();
    let base = base
        .as_ref()
        .map_or("", |base| base.path().trim_end_matches('/'));
    let strip = |prefix: &str| {
        let rest = path.strip_prefix(prefix)?;
        (!prefix.is_empty() && rest.starts_with('/')).then_some(rest)
    };
    strip(base).or_else(|| strip(mount)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_counts_as_local() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:9777",
            "127.8.9.1",
            "[::1]:80",
            "[::1]",
            "alpha.localhost:9777",
            "A.B.LocalHost",
        ] {
            assert!(Addressing::default().is_own(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:1",
            "127.0.0.1.evil.example",
            "[::1]evil.example",
            "127.0.0.1:1.evil.example",
            "localhost:evil.example",
            "[::1]:1.evil.example",
            "localhost:",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            ".localhost.evil.example",
            "notlocalhost",
            "a/.localhost",
            "127.0.0.1.",
        ] {
            assert!(!Addressing::default().is_own(host), "{host}");
        }
    }

    #[test]
    fn nobody_writes_an_address_with_a_header_unless_proxies_are_trusted() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "coze.example, inner"),
            ("x-forwarded-prefix", "/coze/"),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        let mut addressing = Addressing::default();
        assert_eq!(addressing.forwarded(&headers), Forwarded::default());
        addressing.trust_forwarded = true;
        let host = |host: &str| Some(host.to_owned());
        let expected = Forwarded {
            scheme: Some("https"),
            host: host("coze.example"),
            prefix: "/coze".to_owned(),
        };
        assert_eq!(addressing.forwarded(&headers), expected);
        let standard = "for=1.2.3.4;Proto=http;host=\"other.example:81\", for=x;host=y";
        headers.insert(FORWARDED, standard.parse().expect("a value"));
        let seen = addressing.forwarded(&headers);
        assert_eq!(
            (seen.scheme, seen.host),
            (Some("http"), host("other.example:81"))
        );
        for (name, value) in [
            ("x-forwarded-host", "evil.example/path"),
            ("x-forwarded-prefix", "//evil.example"),
            ("x-forwarded-proto", "javascript"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a value"));
            assert_eq!(
                addressing.forwarded(&headers),
                Forwarded::default(),
                "{value}"
            );
        }
    }

    #[test]
    fn a_name_stands_for_this_machine_or_is_refused() {
        assert!(resolve("localhost:0", false).is_ok_and(|at| at.ip().is_loopback()));
        assert!(resolve("[::1]:80", false).is_ok_and(|at| at.port() == 80));
        assert!(matches!(
            resolve("0.0.0.0:80", false),
            Err(SetupError::NotLoopback(_))
        ));
        assert!(resolve("0.0.0.0:80", true).is_ok());
        for text in [
            "localhost",
            "9777",
            "http://localhost:80/",
            "localhost:99999",
            "",
        ] {
            assert!(
                matches!(resolve(text, true), Err(SetupError::ListenAddress(..))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_path_is_looked_for_below_its_whole_mount() {
        assert_eq!(below("/a/t/w/x", "http://h/a/t/w", "/t/w"), "/x");
        assert_eq!(below("/t/w/x", "http://h/a/t/w", "/t/w"), "/x");
        assert_eq!(below("/t/w2/x", "http://h/t/w", "/t/w"), "/t/w2/x");
        assert_eq!(below("/x", "http://h", ""), "/x");
    }
}
