//! The HTTP clients behind [`Client`], and its settings.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use coze_auth_core::endpoint::is_loopback_uri;
use coze_auth_core::http::Uri;
use coze_auth_core::proxy::Proxies;
use coze_auth_tokens::tokio::{SystemClock, Time};
use coze_auth_tokens::{Timeouts, proxies};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Proxy};

use crate::Error;

/// Drives flows over `reqwest`. Cheap to clone; clones share their connections. Keep one.
///
/// Redirects are never followed and nothing is sent twice, because requests carry credentials. TLS is
/// rustls over aws-lc-rs and trusts what the operating system trusts. Proxies, SOCKS among them, come from the
/// environment as it is when the client is made: [`core::proxy`](crate::core::proxy) tells how it is read, in
/// `coze-auth-ureq` alike. A variable that cannot be understood is an error of the requests that need it, and not
/// gone around. Addresses on this machine (127.0.0.0/8, `[::1]`, `localhost`) are never proxied.
///
/// The operating system's CA certificates are read at the first request that needs them, so that plain
/// http to this machine, such as to a mock server in a bare container, works without any. Without them
/// every other request gives [`Error::Build`].
///
/// ```
/// use coze_auth_reqwest::Client;
/// use coze_auth_reqwest::core::{AccessToken, Endpoints, whoami};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
/// let user = client.run(whoami(&endpoints, &AccessToken::new("pat_of_the_console")?)).await?;
/// assert_eq!(user.user_id, "7300");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    http: Http,
    pub(crate) timeouts: Timeouts,
    pub(crate) time: Arc<dyn Time>,
}

#[derive(Clone)]
enum Http {
    Own(Arc<Own>),
    Given(reqwest::Client),
}

/// Clients of our own making. A reqwest client cannot be told to spare some addresses its proxies, and
/// reads the CA certificates when it is built: hence one for each need, built when it comes up.
struct Own {
    make: Arc<dyn Fn() -> ClientBuilder + Send + Sync>,
    /// None if the builder of the application sees to proxies.
    proxies: Option<Arc<Proxies>>,
    timeouts: Timeouts,
    /// For everything else.
    network: OnceLock<reqwest::Client>,
    /// For https without a proxy.
    direct: OnceLock<reqwest::Client>,
    /// For http without a proxy: no CA certificates.
    direct_plain: OnceLock<reqwest::Client>,
}

impl Client {
    /// A client with reqwest's defaults.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] if reqwest cannot build one.
    pub fn new() -> Result<Self, Error> {
        let proxies = Arc::new(proxies());
        let rule = proxies.clone();
        // What is no answer here is an error before: `for_uri`.
        let rule = Proxy::custom(move |url| {
            let proxy = rule.for_uri(&url.as_str().parse().ok()?).ok()??;
            Some(proxy.expose().to_owned())
        });
        let make = move || reqwest::Client::builder().proxy(rule.clone());
        Self::own(Own::new(Arc::new(make), Some(proxies), Timeouts::default()))
    }

    /// A client with settings of your own: proxies, roots (`tls_certs_only`, `tls_certs_merge`), a
    /// resolver. `make` is called for each inner client; redirects, retries, `Referer` and the timeouts
    /// are set on what it gives.
    ///
    /// Proxies are the builder's then, for all but this machine: those that you give it, none after `no_proxy`, else what
    /// reqwest itself makes of the environment. That is alike for what both understand, but reqwest passes over a proxy
    /// that it cannot read, knows no `*.name` and no port in `NO_PROXY`, and uses none at all in a CGI program. For the
    /// reading of [`new`](Self::new) ask [`tokens::proxies`](crate::tokens::proxies) for your address first: it gives the
    /// proxy for the builder, or the error.
    ///
    /// ```no_run
    /// # use coze_auth_reqwest::{Client, Error};
    /// # fn roots() -> Vec<reqwest::Certificate> { Vec::new() }
    /// # fn main() -> Result<(), Error> {
    /// let client = Client::with_builder(|| reqwest::Client::builder().tls_certs_only(roots()))?;
    /// # drop(client);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Build`] if reqwest cannot build a client of it, CA certificates aside.
    pub fn with_builder(
        make: impl Fn() -> ClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::own(Own::new(Arc::new(make), None, Timeouts::default()))
    }

    fn own(own: Own) -> Result<Self, Error> {
        // The cheapest of the three: it tells a bad builder now.
        own.direct_plain()?;
        Ok(Self::over(Http::Own(Arc::new(own))))
    }

    /// A finished client. It must not follow redirects (`redirect::Policy::none()`), must not retry, and
    /// must use no proxy for addresses on this machine: none of this can be set on it any more, nor
    /// asked. [`with_builder`](Self::with_builder) sees to all of this.
    ///
    /// A redirect that it followed gives [`Error::Redirected`] where reqwest tells: the credential may have
    /// gone elsewhere by then. reqwest does not tell of one that led back to the address asked for, nor of
    /// one to where no connection could be made. So from a finished client a connection that cannot be made
    /// does not prove that nothing was sent: it counts as a request that may have arrived, and a code or a
    /// refresh token in it as maybe spent.
    pub fn with_client(client: reqwest::Client) -> Self {
        Self::over(Http::Given(client))
    }

    fn over(http: Http) -> Self {
        Self {
            http,
            timeouts: Timeouts::default(),
            time: Arc::new(SystemClock),
        }
    }

    /// Another limit than 30 seconds for one request, from connecting to the last byte of the answer. A
    /// third of it, and at most 10 seconds, is for connecting. More than a day counts as a day.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = Timeouts::of(timeout);
        if let Http::Own(own) = &self.http {
            let own = Own::new(own.make.clone(), own.proxies.clone(), self.timeouts);
            self.http = Http::Own(Arc::new(own));
        }
        self
    }

    /// Another clock than the machine's, for tests. HTTP timeouts stay real time.
    #[must_use]
    pub fn with_time(mut self, time: impl Time + 'static) -> Self {
        self.time = Arc::new(time);
        self
    }

    /// Whether the client is of our own making, and so known to follow no redirect.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.http, Http::Own(_))
    }

    /// The client for an address, and the proxy that it uses, as far as that is known.
    pub(crate) fn for_uri(&self, uri: &Uri) -> Result<(&reqwest::Client, Option<String>), Error> {
        let own = match &self.http {
            Http::Given(client) => return Ok((client, None)),
            Http::Own(own) => own,
        };
        let proxy = match &own.proxies {
            Some(proxies) => proxies.for_uri(uri)?.map(ToString::to_string),
            None => (!is_loopback_uri(uri)).then(String::new),
        };
        let client = match &proxy {
            Some(_) => built(&own.network, || own.builder()),
            None if uri.scheme_str() == Some("https") => {
                built(&own.direct, || own.builder().no_proxy())
            }
            None => own.direct_plain(),
        };
        Ok((client?, proxy.filter(|proxy| !proxy.is_empty())))
    }
}

impl Own {
    fn new(
        make: Arc<dyn Fn() -> ClientBuilder + Send + Sync>,
        proxies: Option<Arc<Proxies>>,
        timeouts: Timeouts,
    ) -> Self {
        Self {
            make,
            proxies,
            timeouts,
            network: OnceLock::new(),
            direct: OnceLock::new(),
            direct_plain: OnceLock::new(),
        }
    }

    fn builder(&self) -> ClientBuilder {
        (self.make)()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.timeouts.connect)
    }

    fn direct_plain(&self) -> Result<&reqwest::Client, Error> {
        // No roots beyond the builder's: it speaks http only, and the system's may be missing.
        built(&self.direct_plain, || {
            self.builder().no_proxy().tls_certs_only([])
        })
    }
}

/// The client in `place`, built now if it is not there. A failure is not kept: the next request tries again.
fn built(
    place: &OnceLock<reqwest::Client>,
    builder: impl FnOnce() -> ClientBuilder,
) -> Result<&reqwest::Client, Error> {
    if let Some(client) = place.get() {
        return Ok(client);
    }
    let client = builder().build();
    let client = client.map_err(|error| Error::Build(Arc::new(error.without_url())))?;
    Ok(place.get_or_init(|| client))
}

impl fmt::Debug for Client {
    /// Without the inner client, whose proxies may have passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("timeout", &self.timeouts.whole)
            .finish_non_exhaustive()
    }
}
