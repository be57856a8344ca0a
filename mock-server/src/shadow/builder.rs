//! The shadow, and its settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::app_file;
use super::error::ShadowError;
use super::facts::Facts;
use super::serve::{Limits, Shared, serve};
use super::upstream::Upstream;
use crate::config;
use crate::config::options::Options;
use crate::error::SetupError;
use crate::net::addressing;
use crate::net::tls::Tls;
use crate::state::app::App;
use crate::state::ready_made;
use crate::state::settings::Settings;
use crate::time::clock::ClockHandle;

/// A shadow that listens: it stands between a program and the real service, and passes on what they send each other.
///
/// A program reaches it in one of two ways. Either its base is [`base_url`](Self::base_url), or it keeps its base and uses
/// [`base_url`](Self::base_url) as its proxy for https and trusts [`ca_pem`](Self::ca_pem). The second is the only one by which a JWT
/// app can get tokens without further settings: the audience of its assertions is the host of its base.
///
/// It ends when it is dropped.
///
/// ```
/// use coze_auth_mock::{CozeAuthMock, Shadow};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let upstream = CozeAuthMock::builder().start().await?;
/// let shadow = Shadow::builder(upstream.base_url()).start().await?;
/// assert!(shadow.base_url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Shadow {
    shared: Arc<Shared>,
    base_url: String,
    /// It ends the tasks when it is dropped.
    _stop: watch::Sender<()>,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow")
            .field("base_url", &self.base_url)
            .field("upstream", &self.shared.upstream)
            .finish_non_exhaustive()
    }
}

/// The settings of a [`Shadow`].
///
/// ```
/// use coze_auth_mock::Shadow;
///
/// let builder = Shadow::builder("https://api.coze.cn")
///     .app("coze_oauth_config.json") // so that its secret or its key can be judged
///     .listen_on("127.0.0.1:9778");
/// # drop(builder);
/// ```
#[derive(Debug)]
pub struct ShadowBuilder {
    upstream: String,
    www: Option<String>,
    ca: Option<PathBuf>,
    listen: String,
    config: Option<PathBuf>,
    app_files: Vec<PathBuf>,
    is_mock: bool,
    records: bool,
    any_audience: bool,
    clock: ClockHandle,
    pub(crate) limits: Limits,
}

impl Shadow {
    /// Makes a builder. `upstream` is the base of the API, such as `https://api.coze.cn`; plain http is for this machine alone.
    #[must_use]
    pub fn builder(upstream: &str) -> ShadowBuilder {
        ShadowBuilder {
            upstream: upstream.to_owned(),
            www: None,
            ca: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string(),
            config: None,
            app_files: Vec::new(),
            is_mock: false,
            records: false,
            any_audience: false,
            clock: ClockHandle::real(),
            limits: Limits::default(),
        }
    }

    /// The URL of the shadow: a base for programs that set theirs, and a proxy for https.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The certificate, in PEM, of the CA that the shadow has made at its start: who uses the shadow as a proxy has to trust it. Its
    /// key is gone, so that it vouches for the upstream's hosts in this shadow and for nothing else.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.shared.ca_pem
    }

    /// The URLs of the upstream: of its API, of its pages, and of what a workload's integrations and variables come from.
    #[must_use]
    pub fn upstream(&self) -> [String; 3] {
        self.shared.upstream.sites().map(|site| site.url())
    }
}

impl Shadow {
    /// What the exchanges have shown so far, as `GET /_mock/v1/shadow` answers it: for each rule how often upstream and mock agree and
    /// differ, how often it was not judged, and in what and why. It has no secret.
    #[must_use]
    pub fn report(&self) -> serde_json::Value {
        self.shared.judge().report.json(&self.upstream())
    }

    /// The same for people.
    #[must_use]
    pub fn report_text(&self) -> String {
        self.shared
            .judge()
            .report
            .text(&self.shared.upstream.api.url())
    }

    /// The record of the exchanges, in JSON: every code, token, secret, key, assertion, id, name and address is replaced by a stand-in, which is
    /// the same throughout this text and in no other. None unless [`ShadowBuilder::records`] was called.
    ///
    /// # Errors
    ///
    /// The reason, if the record may not be shown: a value that was replaced stands somewhere else in it.
    pub fn record(&self) -> Option<Result<String, String>> {
        let recorder = self.shared.recorder()?;
        let [api, ..] = self.upstream();
        let judge = self.shared.judge();
        Some(recorder.text(&judge.facts, &judge.report, &api))
    }

    /// The ids of the rules in which upstream and mock differ, in the order of the report.
    #[must_use]
    pub fn differing(&self) -> Vec<&'static str> {
        self.shared.judge().report.differing()
    }
}

impl ShadowBuilder {
    /// Sets the URL of the upstream's pages, if it is not that of the API with `www` in the place of `api`.
    #[must_use]
    pub fn www(mut self, url: &str) -> Self {
        self.www = Some(url.to_owned());
        self
    }

    /// Trusts the CA of this file, in PEM, and none of the operating system's. The upstream's certificates are always checked.
    #[must_use]
    pub fn upstream_ca(mut self, file: impl AsRef<Path>) -> Self {
        self.ca = Some(file.as_ref().to_owned());
        self
    }

    /// Sets the loopback address to listen on, `HOST:PORT`; the default is a free port of 127.0.0.1.
    #[must_use]
    pub fn listen_on(mut self, address: &str) -> Self {
        self.listen = address.to_owned();
        self
    }

    /// Reads an app from the `coze_oauth_config.json` that Coze's console gives for it, so that rules about its secret or its key are
    /// judged; those about redirect URIs if the file has `redirect_uris`. Of the secret the shadow keeps a digest, of the key the public half.
    #[must_use]
    pub fn app(mut self, file: impl AsRef<Path>) -> Self {
        self.app_files.push(file.as_ref().to_owned());
        self
    }

    /// Reads the apps of a configuration in TOML (`[[app]]`), so that rules about their secrets, keys and redirect URIs are judged. What
    /// else it has counts for a mock alone.
    #[must_use]
    pub fn config(mut self, file: impl AsRef<Path>) -> Self {
        self.config = Some(file.as_ref().to_owned());
        self
    }

    /// Takes the upstream for a mock with its ready-made apps, to try the shadow out.
    #[must_use]
    pub fn mock_apps(mut self) -> Self {
        self.is_mock = true;
        self
    }

    /// Sets the clock by which the shadow judges, which it shares with a mock as its upstream in tests.
    #[must_use]
    pub fn clock(mut self, clock: ClockHandle) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps the exchanges, at most 1,000, for [`Shadow::record`]. Until then they are in memory as they were.
    #[must_use]
    pub fn records(mut self) -> Self {
        self.records = true;
        self
    }

    /// Passes on assertions for another host than the upstream, too, which are otherwise refused by name: for a client that
    /// sends them on purpose.
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.any_audience = true;
        self
    }

    /// What is known of the upstream before the first request.
    fn facts(&self) -> Result<Facts, ShadowError> {
        let mut settings = Settings::standard([0; 32]);
        settings.tokens = Vec::new().into();
        let mut apps = match &self.config {
            Some(file) => {
                let mut options = Options::standard();
                options.settings.apps = Vec::new().into();
                let read = config::apply_file(options, file)?;
                read.settings.apps.to_vec()
            }
            None if self.is_mock => ready_made::apps(),
            None => Vec::new(),
        };
        for file in &self.app_files {
            let app = app_file::read(file).map_err(ShadowError::App)?;
            apps.retain(|known: &App| known.client_id != app.client_id);
            apps.push(app);
        }
        Ok(Facts::new(settings, apps, self.is_mock))
    }

    /// Starts the shadow on the tokio runtime in which it is called, which needs IO and time.
    ///
    /// # Errors
    ///
    /// [`ShadowError`] if the upstream cannot be one, if its certificates could not be checked, or if the shadow cannot listen.
    pub async fn start(self) -> Result<Shadow, ShadowError> {
        let mut upstream = Upstream::new(&self.upstream, self.www.as_deref(), self.ca.as_deref())?;
        let address = addressing::resolve(&self.listen, false)?;
        let tls = |why: String| ShadowError::Setup(SetupError::Tls(why));
        let hosts = upstream.sites().map(|site| site.host.clone());
        let hosts = hosts.each_ref().map(String::as_str);
        let own = Tls::of_own_ca(&hosts).map_err(|error| tls(error.to_string()))?;
        let bind = |source| ShadowError::Setup(SetupError::Bind { address, source });
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let bound = listener.local_addr().map_err(bind)?;
        upstream.check_proxies(bound)?;
        let facts = self.facts()?;
        let shared = Arc::new(Shared::new(
            upstream,
            &own,
            self.clock,
            facts,
            (self.records, self.limits),
            self.any_audience,
        ));
        let (stop, stopped) = watch::channel(());
        tokio::spawn(serve(listener, shared.clone(), stopped));
        Ok(Shadow {
            shared,
            base_url: format!("http://{bound}"),
            _stop: stop,
        })
    }
}
