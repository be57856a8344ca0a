//! The HTTP agents behind [`Client`], and its settings.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use coze_auth_core::endpoint::is_loopback_uri;
use coze_auth_core::http;
use coze_auth_core::proxy::{self, Proxies};
use coze_auth_tokens::blocking::{SystemClock, Time};
use coze_auth_tokens::{Timeouts, proxies};
use rustls::crypto::CryptoProvider;
use ureq::config::Config;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, AsSendBody, Body, Proxy};

use crate::Error;

/// One value for all, because ureq shares a connection only if both sides have the same. Never the
/// process's default one: that is the application's to choose.
static CRYPTO: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// Drives flows over `ureq`. Cheap to clone; clones share their connections. Keep one.
///
/// Redirects are never followed and nothing is sent twice, because requests carry credentials. TLS is
/// rustls over aws-lc-rs and trusts what the operating system trusts. Proxies, SOCKS among them, come from the
/// environment as it is when the client is made: [`core::proxy`](crate::core::proxy) tells how it is read, in
/// `coze-auth-reqwest` alike and otherwise than by ureq itself. A variable that cannot be understood is an error of the
/// requests that need it, and not gone around. Addresses on this machine (127.0.0.0/8, `[::1]`, `localhost`) are never
/// proxied.
///
/// The operating system's CA certificates are read at the first https request, so that plain http to
/// this machine, such as to a mock server in a bare container, works without any. Without them https
/// gives [`Error::Build`].
///
/// ```
/// use coze_auth_ureq::Client;
/// use coze_auth_ureq::core::{AccessToken, Endpoints, whoami};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let coze = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let base = format!("http://{}", coze.local_addr()?);
/// # std::thread::spawn(move || {
/// #     use std::io::{Read as _, Write as _};
/// #     let (mut stream, _) = coze.accept().unwrap();
/// #     let _ = stream.read(&mut [0; 4096]).unwrap();
/// #     let user = r#"{"code":0,"msg":"","data":{"user_id":"7300","user_name":"alice"}}"#;
/// #     let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
/// #     write!(stream, "{head}: {}\r\n\r\n{user}", user.len()).unwrap();
/// # });
/// let client = Client::new()?; // keep one
/// let endpoints = Endpoints::custom(&base)?; // a mock server's; else `Endpoints::cn()`
/// let user = client.run(whoami(&endpoints, &AccessToken::new("pat_of_the_console")?))?;
/// assert_eq!(user.user_id, "7300");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    agents: Agents,
    proxies: Arc<Proxies>,
    pub(crate) timeouts: Timeouts,
    pub(crate) time: Arc<dyn Time>,
}

#[derive(Clone)]
enum Agents {
    /// Agents of our own making, for which all is set once: ureq keeps the CA certificates that it has
    /// read only for settings that the agent itself has.
    Own {
        /// Without a proxy.
        direct: Agent,
        /// With the proxy for http.
        http: Agent,
        /// With the proxy for https.
        https: Agent,
    },
    Given(Agent),
}

/// Sets what holds for every request, on an agent's settings or on a request's: ureq has one builder for
/// both, and no name for what they share.
macro_rules! settle {
    ($config:expr, $timeouts:expr) => {
        $config
            .http_status_as_error(false)
            // None at all means that a 3xx is an answer like any other, and no error.
            .max_redirects(0)
            .timeout_global(Some($timeouts.whole))
            // Looking up and connecting together stay below the whole timeout.
            .timeout_resolve(Some($timeouts.connect))
            .timeout_connect(Some($timeouts.connect))
    };
}

impl Client {
    /// A client with agents of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Build`], as in `coze-auth-reqwest`. Nothing that ureq needs can fail this early today.
    pub fn new() -> Result<Self, Error> {
        let proxies = proxies();
        let agents = Agents::own(&proxies, Timeouts::default());
        Ok(Self::over(agents, proxies))
    }

    /// A finished agent, with a proxy, roots, resolver or connector of your own. For our requests alone,
    /// redirects, errors by status, and the timeouts from looking up to the whole are set as they must
    /// be, and addresses on this machine are not proxied; the rest is the agent's. If neither it nor the
    /// process has a crypto provider, aws-lc-rs is used.
    ///
    /// A proxy that you gave to the agent is used, and its own rules with it; after `proxy(None)` none is. An agent that
    /// has one from the environment uses what [`new`](Self::new) would. ureq passes over a proxy that it cannot read: an
    /// agent that was made so has none.
    ///
    /// ```no_run
    /// # use coze_auth_ureq::{Client, Error};
    /// use ureq::{Agent, tls::{RootCerts, TlsConfig}};
    ///
    /// # fn roots() -> Vec<ureq::tls::Certificate<'static>> { Vec::new() }
    /// let tls = TlsConfig::builder().root_certs(RootCerts::from(roots())).build();
    /// let client = Client::with_agent(Agent::config_builder().tls_config(tls).build().new_agent());
    /// ```
    pub fn with_agent(agent: Agent) -> Self {
        Self::over(Agents::Given(agent), proxies())
    }

    fn over(agents: Agents, proxies: Proxies) -> Self {
        Self {
            agents,
            proxies: Arc::new(proxies),
            timeouts: Timeouts::default(),
            time: Arc::new(SystemClock),
        }
    }

    /// Another limit than 30 seconds for one request, from looking the name up to the last byte of the
    /// answer. A third of it, and at most 10 seconds, is for looking up, and as much for connecting.
    /// More than a day counts as a day.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = Timeouts::of(timeout);
        if let Agents::Own { .. } = self.agents {
            self.agents = Agents::own(&self.proxies, self.timeouts);
        }
        self
    }

    /// Another clock than the machine's, for tests. HTTP timeouts stay real time.
    #[must_use]
    pub fn with_time(mut self, time: impl Time + 'static) -> Self {
        self.time = Arc::new(time);
        self
    }

    /// The proxy for an address: one that the application gave to its agent, or what the environment says.
    pub(crate) fn proxy(&self, uri: &http::Uri) -> Result<Option<Proxy>, Error> {
        if let Agents::Given(agent) = &self.agents
            && !is_loopback_uri(uri)
            && !agent.config().proxy().is_some_and(Proxy::is_from_env)
        {
            let own = agent.config().proxy();
            return Ok(own.filter(|own| !own.is_no_proxy(uri)).cloned());
        }
        let proxy = self.proxies.for_uri(uri)?.map(as_ureq_takes_it);
        let proxy = proxy.transpose();
        proxy.map_err(|error| Error::Build(Arc::new(error)))
    }

    /// Hands a request to the agent for its address, and for the proxy that this has.
    pub(crate) fn dispatch(
        &self,
        request: http::Request<impl AsSendBody>,
        proxy: Option<&Proxy>,
    ) -> Result<http::Response<Body>, ureq::Error> {
        let is_http = request.uri().scheme_str() == Some("http");
        match &self.agents {
            Agents::Own { direct, .. } if proxy.is_none() => direct.run(request),
            Agents::Own { http, .. } if is_http => http.run(request),
            Agents::Own { https, .. } => https.run(request),
            Agents::Given(agent) => {
                let config = settle!(agent.configure_request(request), self.timeouts);
                let mut config = config.proxy(proxy.cloned());
                if let Some(tls) = with_crypto(agent.config().tls_config()) {
                    config = config.tls_config(tls);
                }
                agent.run(config.build())
            }
        }
    }
}

impl Agents {
    fn own(proxies: &Proxies, timeouts: Timeouts) -> Self {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(CRYPTO.clone())
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = |proxy: Option<&proxy::Proxy>| {
            // What ureq does not take is told when an address needs it, before anything is sent.
            let proxy = proxy.and_then(|proxy| as_ureq_takes_it(proxy).ok());
            let config = settle!(Config::builder(), timeouts).tls_config(tls.clone());
            config.proxy(proxy).build().new_agent()
        };
        Self::Own {
            direct: agent(None),
            http: agent(proxies.http()),
            https: agent(proxies.https()),
        }
    }
}

fn as_ureq_takes_it(proxy: &proxy::Proxy) -> Result<Proxy, ureq::Error> {
    Proxy::new(proxy.expose())
}

/// A request of the application's own, through its own agent: errors by status off, since that would drop the body,
/// the way of its redirects kept, and whatever else is the agent's. What a request says of its own on redirects and
/// the token cannot be asked, so that is the agent's, too.
pub(crate) fn deliver<B: AsSendBody>(
    agent: &Agent,
    request: http::Request<B>,
) -> Result<http::Response<Body>, ureq::Error> {
    let mut config = agent
        .configure_request(request)
        .http_status_as_error(false)
        .save_redirect_history(true)
        .redirect_auth_headers(agent.config().redirect_auth_headers());
    if let Some(tls) = with_crypto(agent.config().tls_config()) {
        config = config.tls_config(tls);
    }
    agent.run(config.build())
}

/// The same settings with a crypto provider, if they have none and would find none: ureq panics then.
fn with_crypto(tls: &TlsConfig) -> Option<TlsConfig> {
    if tls.provider() != TlsProvider::Rustls
        || tls.unversioned_rustls_crypto_provider().is_some()
        || CryptoProvider::get_default().is_some()
    {
        return None;
    }
    Some(
        TlsConfig::builder()
            .unversioned_rustls_crypto_provider(CRYPTO.clone())
            .root_certs(tls.root_certs().clone())
            .client_cert(tls.client_cert().cloned())
            .use_sni(tls.use_sni())
            .disable_verification(tls.disable_verification())
            .build(),
    )
}

impl fmt::Debug for Client {
    /// Without the agents, whose proxies may have passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("timeout", &self.timeouts.whole)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ureq::tls::{Certificate, ClientCert, PrivateKey};

    use super::*;

    #[test]
    fn only_the_crypto_provider_is_added() {
        let key = rcgen::KeyPair::generate().unwrap();
        let key = PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap();
        let tls = TlsConfig::builder()
            .client_cert(Some(ClientCert::new_with_certs(&[], key)))
            .root_certs(RootCerts::from([Certificate::from_der(b"root")]))
            .use_sni(false)
            .disable_verification(true)
            .build();
        let with = with_crypto(&tls).unwrap();
        assert!(with.unversioned_rustls_crypto_provider().is_some());
        assert!(with.client_cert().is_some());
        assert!(matches!(with.root_certs(), RootCerts::Specific(roots) if roots.len() == 1));
        assert!(!with.use_sni());
        assert!(with.disable_verification());
        assert!(with_crypto(&with).is_none(), "it has one now");
    }
}
