//! Which proxy a request goes through, as the environment's variables say. The adapters hand them in; both go by this.
//!
//! For an https address that is the first of `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY` and `all_proxy` that is set, for
//! http of `HTTP_PROXY`, `http_proxy`, `ALL_PROXY`, `all_proxy`. An empty variable counts as one that is not set. Where
//! `REQUEST_METHOD` is set (CGI), the sender of a request sets `HTTP_PROXY` with its `Proxy` header, so that one is not
//! looked at then (CVE-2016-5385).
//!
//! A proxy is `http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h`, `://`, perhaps a user and a password, a host,
//! and a port unless it is 80, 443 or 1080. Without a scheme it is `http`. The proxy itself looks names up for `http`,
//! `https`, `socks4a` and `socks5h`. Whatever else a variable says is an error that names it, of every request that
//! would need it: no request ever goes around a proxy that cannot be understood.
//!
//! `NO_PROXY`, else `no_proxy`, spares addresses the proxy; commas or spaces stand between them:
//!
//! | entry | spares |
//! |---|---|
//! | `coze.test`, `.coze.test`, `*.coze.test` | that name and all names below it, however they are cased |
//! | `10.1.2.3`, `fd00::1` | that address |
//! | `10.0.0.0/8`, `fd00::/8` | that network |
//! | `coze.test:8443`, `10.1.2.3:80`, `[fd00::1]:443` | the same at that port alone |
//! | `*` | everything |
//!
//! An address is compared as it stands in the URL; no name is looked up for it. What is none of these spares nothing. This
//! machine (127.0.0.0/8, `[::1]`, `localhost`) is spared always.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::endpoint::is_loopback_uri;
use crate::error::{ConfigError, Problem, is_invisible};

/// The proxies of an environment.
///
/// ```
/// use coze_auth_core::proxy::Proxies;
///
/// let proxies = Proxies::from_lookup(|name| match name {
///     "HTTPS_PROXY" => Some("http://proxy.example:3128".to_owned()),
///     "NO_PROXY" => Some("*.internal.example".to_owned()),
///     _ => None,
/// });
/// let coze = "https://api.coze.cn/".parse()?;
/// assert_eq!(proxies.for_uri(&coze)?.map(|proxy| proxy.expose()), Some("http://proxy.example:3128"));
/// assert!(proxies.for_uri(&"https://a.internal.example/".parse()?)?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Proxies {
    http: Result<Option<Proxy>, ConfigError>,
    https: Result<Option<Proxy>, ConfigError>,
    spared: Vec<Spared>,
}

impl Proxies {
    /// Reads the variables. A value that is not Unicode must come with replacement characters, and is refused.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| {
            let value = Zeroizing::new(lookup(name)?);
            (!value.trim().is_empty()).then_some((name, value))
        };
        let first = |names: &[&'static str]| {
            let (name, value) = names.iter().find_map(|name| variable(*name))?;
            Some(Proxy::parse(&value).ok_or_else(|| ConfigError::new(name, Problem::Proxy)))
        };
        let http = match lookup("REQUEST_METHOD") {
            Some(_) => &["http_proxy", "ALL_PROXY", "all_proxy"][..],
            None => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"][..],
        };
        let https = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let spared = variable("NO_PROXY").or_else(|| variable("no_proxy"));
        let spared = spared.map_or_else(Vec::new, |(_, list)| {
            let entries =
                list.split(|character: char| character == ',' || character.is_whitespace());
            entries.filter_map(Spared::parse).collect()
        });
        Self {
            http: first(http).transpose(),
            https: first(&https).transpose(),
            spared,
        }
    }

    /// The proxy for this address; none if it is to be connected to directly.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable, if what it says cannot be understood.
    pub fn for_uri(&self, uri: &Uri) -> Result<Option<&Proxy>, ConfigError> {
        if is_loopback_uri(uri) || self.spares(uri) {
            return Ok(None);
        }
        let proxy = match uri.scheme_str() {
            Some("http") => &self.http,
            _ => &self.https,
        };
        proxy.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// The proxy for http addresses, if there is one, and it is understood.
    pub fn http(&self) -> Option<&Proxy> {
        self.http.as_ref().ok()?.as_ref()
    }

    /// The proxy for https addresses, if there is one, and it is understood.
    pub fn https(&self) -> Option<&Proxy> {
        self.https.as_ref().ok()?.as_ref()
    }

    fn spares(&self, uri: &Uri) -> bool {
        let implied = match uri.scheme_str() {
            Some("http") => 80,
            _ => 443,
        };
        let port = uri.port_u16().unwrap_or(implied);
        let host = uri.host().and_then(host);
        host.is_some_and(|host| self.spared.iter().any(|spared| spared.holds(&host, port)))
    }
}

/// A proxy. What it is printed as is its host and port.
#[derive(Clone)]
pub struct Proxy {
    url: Zeroizing<String>,
    address: String,
}

impl Proxy {
    /// Its URL, with user and password, as HTTP clients take it.
    pub fn expose(&self) -> &str {
        &self.url
    }

    /// None if it can mean more than one thing, or nothing.
    fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if value.contains(|character| {
            is_invisible(character) || character == char::REPLACEMENT_CHARACTER
        }) {
            return None;
        }
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        let scheme = scheme.to_ascii_lowercase();
        let implied = match &*scheme {
            "http" => 80,
            "https" => 443,
            "socks4" | "socks4a" | "socks5" | "socks5h" => 1080,
            _ => return None,
        };
        // A slash in a password would end the host before its time.
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return None;
        }
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (name, port) = host_and_port(authority)?;
        let address = format!("{}:{}", host(name)?, port.unwrap_or(implied));
        let mut url = Zeroizing::new(format!("{scheme}://"));
        if let Some(user) = user {
            // What stands there percent-encoded stays so.
            for byte in user.bytes() {
                match byte {
                    b'@'
                    | b' '
                    | b'"'
                    | b'<'
                    | b'>'
                    | b'['
                    | b']'
                    | b'^'
                    | b'`'
                    | b'{'
                    | b'|'
                    | b'}'
                    | 0x80.. => {
                        url.push_str(&format!("%{byte:02X}"));
                    }
                    _ => url.push(byte.into()),
                }
            }
            url.push('@');
        }
        url.push_str(&address);
        // As HTTP clients will, one after the other: what they do not take, they go around.
        Url::parse(&url).ok()?.as_str().parse::<Uri>().ok()?;
        url.parse::<Uri>().ok()?;
        Some(Self { url, address })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug)]
struct Spared {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum What {
    All,
    /// The name and those below it.
    Name(String),
    /// The addresses that begin with so many of these bits.
    Net(IpAddr, u32),
}

impl Spared {
    fn parse(entry: &str) -> Option<Self> {
        let all = |what| Self { what, port: None };
        if entry == "*" {
            return Some(all(What::All));
        }
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Some(all(What::Net(address.to_canonical(), 128)));
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.parse().ok().filter(|bits| *bits <= longest)?;
            return Some(all(What::Net(address, bits)));
        }
        let below = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.'));
        let (name, port) = host_and_port(below.unwrap_or(entry))?;
        let what = match host(name)? {
            Host::Domain(name) => What::Name(name),
            Host::Ipv4(address) => What::Net(address.into(), 128),
            Host::Ipv6(address) => What::Net(IpAddr::from(address).to_canonical(), 128),
        };
        Some(Self { what, port })
    }

    fn holds(&self, host: &Host, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::from(*address).to_canonical()),
        };
        match (&self.what, host, address) {
            (What::All, ..) => true,
            (What::Name(name), Host::Domain(host), _) => host
                .strip_suffix(&**name)
                .is_some_and(|above| above.is_empty() || above.ends_with('.')),
            (What::Net(IpAddr::V4(net), bits), _, Some(IpAddr::V4(address))) => {
                let differs = net.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= *bits.min(&32)
            }
            (What::Net(IpAddr::V6(net), bits), _, Some(IpAddr::V6(address))) => {
                let differs = net.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= *bits.min(&128)
            }
            _ => false,
        }
    }
}

/// A host as URLs have it: in lower case, in ASCII, without the dot of the root.
fn host(text: &str) -> Option<Host> {
    match Host::parse(text).ok()? {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            (!name.is_empty()).then(|| Host::Domain(name.to_owned()))
        }
        address => Some(address),
    }
}

fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| digits && *port != 0)?;
            Some((host, Some(port)))
        }
        _ => Some((text, None)),
    }
}
