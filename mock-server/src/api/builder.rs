//! The builder: settings of a mock, which then starts with a socket or without one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mock::CozeAuthMock;
use crate::config::apps::parse_public_key;
use crate::config::errors::ConfigErrors;
use crate::config::options::{Listen, Options, WantedTls};
use crate::config::target::For;
use crate::config::{self, summary};
use crate::error::{KeyError, SetupError};
use crate::limits::{MEGABYTE, MIN_MEMORY_MB};
use crate::net::addressing::{self, Origins};
use crate::protocol::api::Api;
use crate::state::app::{Consent, Key};
use crate::state::keys;
use crate::time::clock::ClockHandle;

/// The settings of a mock. [`start`](Self::start), [`start_blocking`](Self::start_blocking) and [`build`](Self::build)
/// make the mock.
///
/// ```
/// use coze_auth_mock::CozeAuthMock;
///
/// let mock = CozeAuthMock::builder()
///     .seed(42) // the same ids and tokens in every run
///     .rule("code.single_use", false)
///     .start_blocking()?; // on a free port of 127.0.0.1
/// assert!(mock.base_url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    pub(super) options: Options,
    problem: Option<SetupError>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            options: Options::standard(),
            problem: None,
        }
    }

    /// Sets the clock by which everything expires. Keep a clone of it to let time pass.
    #[must_use]
    pub fn clock(mut self, clock: ClockHandle) -> Self {
        self.options.settings.clock = clock;
        self
    }

    /// Turns the rule `id` of `rules.toml` on or off.
    #[must_use]
    pub fn rule(mut self, id: &str, on: bool) -> Self {
        let set = Arc::make_mut(&mut self.options.settings.rules).set(id, on);
        self.note(set.map_err(SetupError::from))
    }

    /// Answers violations of the rule `id` with another HTTP status, and with another error code if `error` is some.
    /// Coze's own answer is not known for every rule, so a client should tolerate all of them.
    #[must_use]
    pub fn answer(mut self, id: &str, status: u16, error: Option<&str>) -> Self {
        let set = Arc::make_mut(&mut self.options.settings.rules).set_answer(id, status, error);
        self.note(set.map_err(SetupError::from))
    }

    fn note(mut self, set: Result<(), SetupError>) -> Self {
        self.problem = self.problem.or_else(|| set.err());
        self
    }

    /// Sets who decides about authorize requests and device codes; the default is [`Consent::Page`].
    #[must_use]
    pub fn consent(mut self, consent: Consent) -> Self {
        self.options.settings.consent = consent;
        self
    }

    /// Makes every code, token and id a function of `seed` and of those made before. They can then be guessed, which is
    /// what a test needs; the default is a random seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.set_seed(seed);
        self
    }

    /// Maximum number of requests that the journal keeps, at least one; the default is 2,000. Older ones are evicted.
    #[must_use]
    pub fn journal_capacity(mut self, capacity: usize) -> Self {
        self.options.settings.journal = capacity;
        self
    }

    /// Adds a public key in PEM to a JWT app, in place of an earlier one of this `kid`. The `kid` of an assertion says which of
    /// the app's keys has signed it.
    #[must_use]
    pub fn key(mut self, client_id: &str, kid: &str, public_pem: &str) -> Self {
        let apps = &mut self.options.settings.apps;
        let added = key_of(kid, public_pem).and_then(|key| keys::add(apps, client_id, key));
        self.note(added.map_err(SetupError::Key))
    }

    /// Adds an API call of your own, with which every world starts. One of the same method and path replaces an earlier one.
    #[must_use]
    pub fn api(mut self, api: Api) -> Self {
        let apis = &mut self.options.settings.apis;
        apis.retain(|earlier| !earlier.same_call(&api));
        apis.push(Arc::new(api));
        self
    }

    /// Maximum number of megabytes (of a million bytes) that all worlds together hold, at least 16; the default is 256. At the
    /// bound worlds that were used once are evicted, and then the largest worlds drop the older half of their journals and tokens.
    #[must_use]
    pub fn max_memory_mb(mut self, megabytes: usize) -> Self {
        let least = usize::try_from(MIN_MEMORY_MB).unwrap_or(usize::MAX);
        let megabytes = megabytes.max(least);
        self.options.max_memory = megabytes.saturating_mul(MEGABYTE);
        self
    }

    /// Sets the loopback address to listen on; the default is a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.options.listen = Listen::At(address);
        self
    }

    /// Does the same as [`listen`](Self::listen) with a text `HOST:PORT`, where the host may be a name such as `localhost`.
    #[must_use]
    pub fn listen_on(mut self, address: &str) -> Self {
        self.options.listen = Listen::Named(address.to_owned());
        self
    }

    /// Allows addresses that other machines can reach. The mock issues tokens to every client. Its control plane then
    /// requires an [`admin_token`](Self::admin_token), which is random unless it was set.
    #[must_use]
    pub fn allow_other_machines(mut self) -> Self {
        self.options.anywhere = true;
        self
    }

    /// Sets the Bearer credential that `/_mock/v1` requires. Without one, a mock on a loopback address requires none.
    #[must_use]
    pub fn admin_token(mut self, token: &str) -> Self {
        match token.is_empty() || token.chars().any(|c| !c.is_ascii_graphic()) {
            true => self.note(Err(SetupError::AdminToken)),
            false => {
                self.options.addressing.admin_token = Some(token.to_owned());
                self
            }
        }
    }

    /// Sets the URL that clients use, such as `http://mock:9777` or `https://dev.example/coze`, if it is not the address
    /// that the mock listens on. Every URL that the mock returns begins with it.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        match addressing::public_url(url) {
            Ok(url) => self.options.addressing.public_url = Some(url),
            Err(problem) => return self.note(Err(problem)),
        }
        self
    }

    /// Sets the origins whose pages may call the data plane, such as `https://app.example`; `loopback` stands for every port of this
    /// machine, which is the default, and `null` is the origin of sandboxed frames and of pages of files. The list replaces an
    /// earlier one, so that `["http://localhost:3000"]` allows that origin alone.
    #[must_use]
    pub fn allowed_origins<T: AsRef<str>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        let mut allowed = Origins::none();
        for origin in origins {
            if let Err(problem) = allowed.add(origin.as_ref()) {
                return self.note(Err(problem));
            }
        }
        self.options.addressing.allowed_origins = allowed;
        self
    }

    /// Sets further names under which clients find the mock, such as `mock.test`, if it is not the host of the
    /// [`public_url`](Self::public_url). The mock refuses requests for other names, since a page of another site could use such a
    /// name to reach this machine.
    #[must_use]
    pub fn allowed_hosts<T: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        let hosts = hosts.into_iter();
        let hosts = hosts.map(|host| addressing::allowed_host(host.as_ref()));
        match hosts.collect() {
            Ok(hosts) => self.options.addressing.allowed_hosts = hosts,
            Err(problem) => return self.note(Err(problem)),
        }
        self
    }

    /// Serves https with a certificate of a new CA, made at each start. The certificate is for this machine, the host of
    /// [`listen_on`](Self::listen_on), that of the [`public_url`](Self::public_url), each [`tls_name`](Self::tls_name), and
    /// for each of these that begins with `api.` also the one with `www.`, which SDKs derive from it. Clients have to
    /// trust [`ca_pem`](CozeAuthMock::ca_pem).
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.options.tls = WantedTls::OwnCa;
        self
    }

    /// Adds a host name or IP address to the certificate of [`tls`](Self::tls).
    #[must_use]
    pub fn tls_name(mut self, name: &str) -> Self {
        self.options.tls_names.push(name.to_owned());
        self
    }

    /// Serves http, even if a configuration has turned TLS on.
    #[must_use]
    pub fn no_tls(mut self) -> Self {
        self.options.tls = WantedTls::Off;
        self
    }

    /// Serves https with this certificate, followed by its intermediate certificates, and this key, both in PEM. The files
    /// are read when the mock starts.
    #[must_use]
    pub fn tls_files(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.options.tls = WantedTls::Files {
            certificate: certificate.into(),
            key: key.into(),
        };
        self
    }

    /// Takes scheme, host and prefix from `Forwarded` and `X-Forwarded-…` headers, for a mock behind a proxy that sets
    /// them. A [`public_url`](Self::public_url) takes precedence.
    #[must_use]
    pub fn trust_forwarded(mut self) -> Self {
        self.options.addressing.trust_forwarded = true;
        self
    }

    /// Applies a configuration in TOML, which replaces earlier settings of the same keys; the README lists the keys. Paths of
    /// PEM files in it are relative to the working directory.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] lists all mistakes, with line and column.
    pub fn toml(self, text: &str) -> Result<Self, ConfigErrors> {
        let options = config::apply(self.options, text, For::Mock(PathBuf::new()))?;
        Ok(Self { options, ..self })
    }

    /// Does the same as [`toml`](Self::toml) with a file. Paths of PEM files in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] lists all mistakes, or says that the file cannot be read.
    pub fn toml_file(self, path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        let options = config::apply_file(self.options, path.as_ref())?;
        Ok(Self { options, ..self })
    }

    /// Returns what `coze-auth-mock check` prints: addresses, apps, users, tokens, differences from Coze, and all limits.
    #[must_use]
    pub fn summary(&self) -> String {
        summary::summary(&self.options)
    }

    pub(crate) const fn has_seed(&self) -> bool {
        self.options.seed.is_some()
    }

    /// Returns the options, or the first mistake in them.
    pub(super) fn options(self) -> Result<Options, SetupError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.options),
        }
    }

    /// Makes a mock without a socket, for [`CozeAuthMock::call`] and [`CozeAuthMock::router`].
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a rule is unknown or cannot be turned off, if a setting is not valid, or if the operating system
    /// supplies no random seed.
    pub fn build(self) -> Result<CozeAuthMock, SetupError> {
        let mut options = self.options()?;
        let addressing = Arc::new(std::mem::take(&mut options.addressing));
        let (connections, max_memory) = (options.connections, options.max_memory);
        Ok(CozeAuthMock::new(
            options.settings()?,
            addressing,
            connections,
            max_memory,
        ))
    }
}

/// A key of the user's own, in PEM.
pub(super) fn key_of(kid: &str, public_pem: &str) -> Result<Key, KeyError> {
    let public = parse_public_key(public_pem).map_err(KeyError::NotAKey)?;
    Ok(Key {
        kid: kid.to_owned(),
        public,
        development: false,
    })
}
