//! The upstream: its hosts, and connections to them, whose certificates are always checked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use http::Request;
use http::header::{HOST, PROXY_AUTHORIZATION};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::Upgraded;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::error::ShadowError;
use super::pass::Outgoing;
use crate::limits::{MAX_ANSWER_HEAD, SHADOW_CONNECT_TIME};
use crate::net::addressing::is_loopback_host;
use crate::protocol::assertion::Assertion;

/// How the `aud` of an assertion names a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The bare host in a text, which is what is documented (protocol §1.3).
    Bare,
    /// With its port, or in an array (RFC 7519 §4.1.3).
    Other,
    None,
}

/// A host of the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Site {
    /// Parses the URL of a host. Plain http is for this machine alone.
    pub(crate) fn parse(text: &str) -> Result<Self, ShadowError> {
        let wrong = |why| ShadowError::Upstream(text.to_owned(), why);
        let url = Url::parse(text).map_err(|_| wrong("it is not an absolute URL"))?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("it is not https")),
        };
        let host = url.host().ok_or_else(|| wrong("it has no host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it has user info"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has more than scheme, host and port"));
        }
        if !tls && !is_here(&host) {
            return Err(wrong(
                "it is plain http to another machine, where everybody on the way could read the secrets",
            ));
        }
        Ok(Self {
            tls,
            host: host.to_string(),
            port: url.port_or_known_default().unwrap_or(443),
        })
    }

    /// The authority, as clients write it into `Host`: without the port of the scheme.
    pub(crate) fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    pub(crate) const fn has_tls(&self) -> bool {
        self.tls
    }

    /// How an assertion names the host.
    pub(crate) fn named_in(&self, jwt: &Assertion<'_>) -> Audience {
        let text = jwt.claims.get("aud").and_then(Value::as_str);
        match text.is_some_and(|aud| aud.eq_ignore_ascii_case(&self.host)) {
            true => Audience::Bare,
            false if jwt.audiences().any(|aud| self.is(aud)) => Audience::Other,
            false => Audience::None,
        }
    }

    /// Returns true if this text, host and port of a `CONNECT` or an `aud`, names the host. The port may be missing.
    pub(crate) fn is(&self, authority: &str) -> bool {
        let named = authority.to_ascii_lowercase();
        named == self.host || named == format!("{}:{}", self.host, self.port)
    }
}

fn is_here<T: AsRef<str>>(host: &Host<T>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => is_loopback_host(name.as_ref()),
    }
}

/// The hosts of the upstream, the way to them, and how its certificates are checked.
pub(crate) struct Upstream {
    pub(crate) api: Site,
    pub(crate) www: Site,
    /// Where a workload gets credentials and variables (protocol §15.1).
    integration: Site,
    /// None if all are plain http: a machine without CA certificates serves them, too.
    tls: Option<TlsConnector>,
    /// What the environment says about proxies.
    proxies: Matcher,
}

pub(crate) const SITES: usize = 3;
pub(crate) const API: usize = 0;
pub(crate) const WWW: usize = 1;
pub(crate) const INTEGRATION: usize = 2;

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("api", &self.api)
            .field("www", &self.www)
            .field("integration", &self.integration)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// `www` is the URL of the www host, if it is not the API host with `www` for `api` (protocol §1.2); that of the integrations has
    /// `integration` in its place, as on .cn. `ca` is a file with the CA to trust instead of the system's.
    pub(crate) fn new(
        api: &str,
        www: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Self, ShadowError> {
        let url = api;
        let api = Site::parse(url)?;
        if ["www.coze.cn", "www.coze.com"].contains(&&*api.host) {
            let why = "it is the host of the pages, and not of the API";
            return Err(ShadowError::Upstream(url.to_owned(), why));
        }
        let beside = |label: &str| match api.host.strip_prefix("api.") {
            Some(domain) => Site {
                host: format!("{label}.{domain}"),
                ..api.clone()
            },
            None => api.clone(),
        };
        let integration = beside("integration");
        let www = match www {
            Some(www) => Site::parse(www)?,
            None => beside("www"),
        };
        let needs_tls = api.tls || www.tls || ca.is_some();
        let tls = needs_tls.then(|| client_config(ca)).transpose()?;
        let tls = tls.map(|config| TlsConnector::from(Arc::new(config)));
        Ok(Self {
            api,
            www,
            integration,
            tls,
            proxies: Matcher::from_env(),
        })
    }

    /// Checks the proxies of the environment, and says which is used. `own` is the address of the shadow, which may stand there for
    /// the programs that it serves.
    pub(crate) fn check_proxies(&mut self, own: SocketAddr) -> Result<(), ShadowError> {
        for site in self.sites().map(Site::clone) {
            let Some(proxy) = self.proxy(&site) else {
                continue;
            };
            let uri = proxy.uri();
            let host = uri.host().unwrap_or_default();
            if is_loopback_host(host) && uri.port_u16() == Some(own.port()) {
                tracing::warn!(
                    "the proxy of the environment is the shadow itself, which goes to the upstream without one"
                );
                self.proxies = Matcher::builder().build();
                return Ok(());
            }
            if uri.scheme_str() != Some("http") {
                let scheme = uri.scheme_str().unwrap_or_default();
                return Err(ShadowError::Proxy(scheme.to_owned()));
            }
            tracing::info!("{} is reached by the proxy {host}", site.url());
        }
        Ok(())
    }

    /// The proxy for a host. There is none for this machine, whose names mean another one there.
    fn proxy(&self, site: &Site) -> Option<Intercept> {
        let is_here = is_loopback_host(site.host.trim_matches(['[', ']']));
        let url = site.url().parse().ok().filter(|_| !is_here)?;
        self.proxies.intercept(&url)
    }

    /// The hosts, in the order of `API`, `WWW` and `INTEGRATION`.
    pub(crate) const fn sites(&self) -> [&Site; SITES] {
        [&self.api, &self.www, &self.integration]
    }

    /// Connects to `site`. Nothing has been sent if it fails; the text is the reason.
    pub(crate) async fn connect(&self, site: &Site) -> Result<SendRequest<Outgoing>, String> {
        let connected = timeout(SHADOW_CONNECT_TIME, self.stream(site)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(|error| error.to_string())?;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_buf_size(MAX_ANSWER_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // It ends with its sender. Its error is that of the request.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn stream(&self, site: &Site) -> io::Result<Pin<Box<dyn Io>>> {
        let host = site.host.trim_matches(['[', ']']);
        let stream: Pin<Box<dyn Io>> = match self.proxy(site) {
            Some(proxy) => Box::pin(TokioIo::new(tunnel(&proxy, host, site.port).await?)),
            None => Box::pin(tcp(host, site.port).await?),
        };
        let Some(tls) = self.tls.as_ref().filter(|_| site.tls) else {
            return Ok(stream);
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::pin(tls.connect(name, stream).await?))
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = match host.parse::<IpAddr>().is_err() && is_loopback_host(host) {
        // A resolver need not know the names below localhost.
        true => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?,
        false => TcpStream::connect((host, port)).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a tunnel to a host by a proxy (RFC 9110 §9.3.6).
async fn tunnel(proxy: &Intercept, host: &str, port: u16) -> io::Result<Upgraded> {
    let uri = proxy.uri();
    let wrong = |why: String| {
        let name = uri.host().unwrap_or_default();
        io::Error::other(format!("by the proxy {name} of the environment: {why}"))
    };
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = tcp(name, uri.port_u16().unwrap_or(80)).await;
    let stream = stream.map_err(|error| wrong(error.to_string()))?;
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let to = format!("{host}:{port}");
    let mut request = Request::connect(&to).header(HOST, &to);
    if let Some(credential) = proxy.basic_auth() {
        request = request.header(PROXY_AUTHORIZATION, credential);
    }
    let asked = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        let request = request.body(Outgoing::empty()).expect("it is well-formed");
        sender.send_request(request).await
    };
    let answer = asked.await.map_err(|error| wrong(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(wrong(format!("it answered {}", answer.status().as_u16())));
    }
    let upgraded = hyper::upgrade::on(answer).await;
    upgraded.map_err(|error| wrong(error.to_string()))
}

trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

fn client_config(ca: Option<&Path>) -> Result<ClientConfig, ShadowError> {
    let wrong = |error: String| ShadowError::Roots(error);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    let builder = match ca {
        None => builder.with_platform_verifier().map_err(|error| {
            wrong(format!(
                "the certificates that the operating system trusts cannot be read ({error}); install them (ca-certificates)"
            ))
        })?,
        Some(file) => {
            let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            // In our words: those of the reader quote the file, which may be a private key.
            let certificates: Vec<_> = certificates
                .map_err(|_| wrong(format!("{} is not a certificate in PEM", file.display())))?;
            let mut roots = RootCertStore::empty();
            if roots.add_parsable_certificates(certificates).0 == 0 {
                return Err(wrong(format!("{} has no certificate", file.display())));
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_upstream_is_https_or_on_this_machine() {
        for (url, host, port) in [
            ("https://api.coze.cn", "api.coze.cn", 443),
            ("https://api.coze.cn/", "api.coze.cn", 443),
            ("https://API.coze.com:8443", "api.coze.com", 8443),
            ("http://127.0.0.1:9777", "127.0.0.1", 9777),
            ("http://[::1]:80", "[::1]", 80),
            ("http://api.coze.localhost:1", "api.coze.localhost", 1),
        ] {
            let site = Site::parse(url).expect(url);
            assert_eq!((&*site.host, site.port), (host, port));
        }
        for (url, why) in [
            ("http://api.coze.cn", "plain http to another machine"),
            (
                "http://localhost.evil.example",
                "plain http to another machine",
            ),
            ("ftp://api.coze.cn", "not https"),
            ("api.coze.cn", "not an absolute URL"),
            ("https://a:b@api.coze.cn", "user info"),
            ("https://api.coze.cn/v1", "more than scheme"),
            ("https://api.coze.cn?x", "more than scheme"),
        ] {
            let error = Site::parse(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("a:b"), "{error}");
        }
    }

    #[test]
    fn the_integrations_are_beside_the_api_host() {
        let of = |api: &str| {
            let upstream = Upstream::new(api, Some("http://127.0.0.1:1"), None);
            upstream.expect("an upstream").sites()[INTEGRATION].url()
        };
        assert_eq!(
            of("http://api.coze.localhost:1"),
            "http://integration.coze.localhost:1"
        );
        assert_eq!(of("http://127.0.0.1:9777"), "http://127.0.0.1:9777");
    }

    /// Which host an audience is for, whoever asks.
    #[test]
    fn an_audience_names_the_api_host() {
        let site = Site::parse("https://api.coze.cn").expect("a site");
        let gateway = Site::parse("https://gateway.example:8443").expect("a site");
        let named = |site: &Site, aud: Value| {
            use base64::Engine as _;
            use base64::engine::general_purpose::URL_SAFE_NO_PAD;
            let claims = match aud {
                Value::Null => json!({ "iss": "1" }),
                aud => json!({ "iss": "1", "aud": aud }),
            };
            let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
            site.named_in(&Assertion::parse(&text).expect("an assertion"))
        };
        for (site, aud, expected) in [
            (&site, json!("api.coze.cn"), Audience::Bare),
            (&site, json!("API.coze.cn"), Audience::Bare),
            (&site, json!("api.coze.cn:443"), Audience::Other),
            (&site, json!(["api.coze.cn"]), Audience::Other),
            (&site, json!(["a", 7, "api.coze.cn"]), Audience::Other),
            (&site, json!("api.coze.cn:80"), Audience::None),
            (&site, json!("www.coze.cn"), Audience::None),
            (&site, json!("api.coze.com"), Audience::None),
            (&site, json!("https://api.coze.cn"), Audience::None),
            (&site, json!([]), Audience::None),
            (&site, json!(7), Audience::None),
            (&site, json!({ "a": "api.coze.cn" }), Audience::None),
            (&site, Value::Null, Audience::None),
            (&gateway, json!("gateway.example"), Audience::Bare),
            (&gateway, json!("gateway.example:8443"), Audience::Other),
            (&gateway, json!("gateway.example:443"), Audience::None),
        ] {
            assert_eq!(named(site, aud.clone()), expected, "{aud}");
        }
    }

    #[test]
    fn the_www_host_is_beside_the_api_host() {
        let www = |api: &str, www: Option<&str>| {
            let upstream = Upstream::new(api, www, None);
            upstream.map(|upstream| upstream.www.url())
        };
        let of = |api: &str| www(api, None).expect("an upstream");
        assert_eq!(of("https://api.coze.cn"), "https://www.coze.cn");
        assert_eq!(of("http://127.0.0.1:9777"), "http://127.0.0.1:9777");
        let named = www("https://gateway.example", Some("https://pages.example"));
        assert_eq!(named.expect("an upstream"), "https://pages.example");
        assert!(www("https://api.coze.cn", Some("http://www.coze.cn")).is_err());
        for url in ["https://www.coze.cn", "https://www.coze.com:443"] {
            let error = www(url, None).expect_err(url).to_string();
            assert!(
                error.contains("the host of the pages, and not of the API"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_site_is_named_with_or_without_its_port() {
        let site = Site::parse("https://api.coze.cn").expect("a site");
        for named in ["api.coze.cn", "API.coze.cn", "api.coze.cn:443"] {
            assert!(site.is(named), "{named}");
        }
        for other in [
            "api.coze.com",
            "api.coze.cn:80",
            "https://api.coze.cn",
            "coze.cn",
            "",
        ] {
            assert!(!site.is(other), "{other}");
        }
    }
}
