//! The addresses of the mock: where it listens, and which URL clients use.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use http::header::FORWARDED;
use url::{Position, Url};

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

    /// Returns true if the host is that of the public URL, or the one to which the socket is bound.
    pub(crate) fn is_own_host(&self, host: &str) -> bool {
        let public = self.public_url.as_deref().map(Url::parse);
        let public = public.and_then(Result::ok);
        let public = public.as_ref().and_then(Url::host_str);
        [public, self.bound.get().map(String::as_str)]
            .into_iter()
            .flatten()
            .any(|own| own.trim_matches(['[', ']']).eq_ignore_ascii_case(host))
    }

    /// Returns true if `authority` is that of the public URL, port included.
    pub(crate) fn is_public_authority(&self, authority: &str) -> bool {
        let public = self.public_url.as_deref().map(Url::parse);
        let public = public.and_then(Result::ok);
        public.is_some_and(|url| url[Position::BeforeHost..Position::AfterPort] == *authority)
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
