//! Making a mock: settings, then a socket or none.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mock::CozeAuthMock;
use crate::config::errors::ConfigErrors;
use crate::config::options::{Listen, Options, WantedTls};
use crate::config::target::For;
use crate::config::{self, summary};
use crate::error::SetupError;
use crate::net::addressing;
use crate::state::app::Consent;
use crate::time::clock::ClockHandle;

/// Settings of a mock, then [`start`](Self::start), [`start_blocking`](Self::start_blocking) or
/// [`build`](Self::build).
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

    /// The clock by which everything expires; keep a clone of it to let time pass.
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

    /// Answers breaches of the rule `id` with another HTTP status, and another error code if one
    /// is given. What Coze answers is not known for every rule; a client should bear them all.
    #[must_use]
    pub fn answer(mut self, id: &str, status: u16, error: Option<&str>) -> Self {
        let set = Arc::make_mut(&mut self.options.settings.rules).set_answer(id, status, error);
        self.note(set.map_err(SetupError::from))
    }

    fn note(mut self, set: Result<(), SetupError>) -> Self {
        self.problem = self.problem.or_else(|| set.err());
        self
    }

    /// Who decides about authorize requests and device codes; [`Consent::Page`] if not set.
    #[must_use]
    pub fn consent(mut self, consent: Consent) -> Self {
        self.options.settings.consent = consent;
        self
    }

    /// Makes every code, token and id a function of `seed` and of what was made before. They can
    /// then be guessed, which is the point in tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.set_seed(seed);
        self
    }

    /// How many requests the journal keeps, one at least; 2,000 if not set. Older ones are forgotten.
    #[must_use]
    pub fn journal_capacity(mut self, capacity: usize) -> Self {
        self.options.settings.journal = capacity;
        self
    }

    /// Where to listen, a loopback address; a free port of 127.0.0.1 if not set.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.options.listen = Listen::At(address);
        self
    }

    /// As [`listen`](Self::listen), with `HOST:PORT`, where the host may be a name such as `localhost`.
    #[must_use]
    pub fn listen_on(mut self, address: &str) -> Self {
        self.options.listen = Listen::Named(address.to_owned());
        self
    }

    /// Allows addresses that other machines can reach. The mock gives tokens to whoever asks; its control plane then
    /// takes an [`admin_token`](Self::admin_token), a random one if none was set.
    #[must_use]
    pub fn allow_other_machines(mut self) -> Self {
        self.options.anywhere = true;
        self
    }

    /// What `/_mock/v1` takes as Bearer credential from now on. On a loopback address there is none if none is set.
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

    /// The address that clients use, such as `http://mock:9777` or `https://dev.example/coze`, if it is not the one
    /// that the mock listens on: it is in all addresses that the mock hands out.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        match addressing::public_url(url) {
            Ok(url) => self.options.addressing.public_url = Some(url),
            Err(problem) => return self.note(Err(problem)),
        }
        self
    }

    /// Speaks https, with a certificate of a CA that is made anew at each start: for this machine, the host of
    /// [`listen_on`](Self::listen_on) and that of the [`public_url`](Self::public_url).
    /// [`ca_pem`](CozeAuthMock::ca_pem) is what clients have to trust.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.options.tls = WantedTls::OwnCa;
        self
    }

    /// Speaks http, if a configuration has said otherwise.
    #[must_use]
    pub fn no_tls(mut self) -> Self {
        self.options.tls = WantedTls::Off;
        self
    }

    /// Speaks https with this certificate, what leads to its CA behind it, and its key, in PEM; both are read at the
    /// start.
    #[must_use]
    pub fn tls_files(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.options.tls = WantedTls::Files {
            certificate: certificate.into(),
            key: key.into(),
        };
        self
    }

    /// Takes scheme, host and prefix from `Forwarded` and `X-Forwarded-…`: for a mock behind a proxy that sets
    /// them. A [`public_url`](Self::public_url) counts before them.
    #[must_use]
    pub fn trust_forwarded(mut self) -> Self {
        self.options.addressing.trust_forwarded = true;
        self
    }

    /// Takes what a configuration in TOML sets, in place of what was set before; see the README for its keys. PEM
    /// files that it names are looked for in the working directory.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`]: everything that is wrong, with line and column.
    pub fn toml(self, text: &str) -> Result<Self, ConfigErrors> {
        let options = config::apply(self.options, text, For::Mock(PathBuf::new()))?;
        Ok(Self { options, ..self })
    }

    /// As [`toml`](Self::toml), from a file; PEM files are looked for beside it.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`], also if the file cannot be read.
    pub fn toml_file(self, path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        let options = config::apply_file(self.options, path.as_ref())?;
        Ok(Self { options, ..self })
    }

    /// What `coze-auth-mock check` prints: addresses, apps, users, tokens, what is not as Coze has it, and all limits.
    #[must_use]
    pub fn summary(&self) -> String {
        summary::summary(&self.options)
    }

    pub(crate) const fn has_seed(&self) -> bool {
        self.options.seed.is_some()
    }

    /// What was set, if everything fits.
    pub(super) fn options(self) -> Result<Options, SetupError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.options),
        }
    }

    /// A mock without a socket, for [`CozeAuthMock::call`] and [`CozeAuthMock::router`].
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a rule does not exist or cannot be turned off, if a setting cannot be, or if there is no seed.
    pub fn build(self) -> Result<CozeAuthMock, SetupError> {
        let mut options = self.options()?;
        let addressing = Arc::new(std::mem::take(&mut options.addressing));
        Ok(CozeAuthMock::new(options.settings()?, addressing))
    }
}
