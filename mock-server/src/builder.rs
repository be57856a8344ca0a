//! Making a mock: settings, then a socket or none.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::SetupError;
use crate::clock::ClockHandle;
use crate::config::{self, ConfigErrors, summary};
use crate::mock::{CozeAuthMock, Listening};
use crate::reach::{self, Reach};
use crate::store::Ids;
use crate::wire;
use crate::world::{Consent, Settings};

/// Settings of a mock, then [`start`](Self::start), [`start_blocking`](Self::start_blocking) or
/// [`build`](Self::build).
#[derive(Debug)]
pub struct Builder {
    pub(crate) settings: Settings,
    seed: Option<[u8; 32]>,
    listen: Listen,
    anywhere: bool,
    reach: Reach,
    problem: Option<SetupError>,
}

/// A name is looked up at the start, when it is known who may come.
#[derive(Debug)]
enum Listen {
    At(SocketAddr),
    Named(String),
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::standard([0; 32]),
            seed: None,
            listen: Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            anywhere: false,
            reach: Reach::default(),
            problem: None,
        }
    }

    /// The clock by which everything expires; keep a clone of it to let time pass.
    #[must_use]
    pub fn clock(mut self, clock: ClockHandle) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Turns the rule `id` of `rules.toml` on or off.
    #[must_use]
    pub fn rule(mut self, id: &str, on: bool) -> Self {
        let set = self.settings.rules.set(id, on);
        self.note(set)
    }

    /// Answers breaches of the rule `id` with another HTTP status, and another error code if one
    /// is given. What Coze answers is not known for every rule; a client should bear them all.
    #[must_use]
    pub fn answer(mut self, id: &str, status: u16, error: Option<&str>) -> Self {
        let set = self.settings.rules.set_answer(id, status, error);
        self.note(set)
    }

    fn note(mut self, set: Result<(), SetupError>) -> Self {
        self.problem = self.problem.or_else(|| set.err());
        self
    }

    /// Who decides about authorize requests and device codes; [`Consent::Page`] if not set.
    #[must_use]
    pub fn consent(mut self, consent: Consent) -> Self {
        self.settings.consent = consent;
        self
    }

    /// Makes every code, token and id a function of `seed` and of what was made before. They can
    /// then be guessed, which is the point in tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed_of(seed));
        self
    }

    /// How many requests the journal keeps, one at least; 2,000 if not set. Older ones are forgotten.
    #[must_use]
    pub fn journal(mut self, capacity: usize) -> Self {
        self.settings.journal = capacity;
        self
    }

    /// Where to listen, a loopback address; a free port of 127.0.0.1 if not set.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Listen::At(address);
        self
    }

    /// As [`listen`](Self::listen), with `HOST:PORT`, where the host may be a name such as `localhost`.
    #[must_use]
    pub fn listen_on(mut self, address: &str) -> Self {
        self.listen = Listen::Named(address.to_owned());
        self
    }

    /// Allows addresses that other machines can reach. The mock gives tokens to whoever asks; its control plane then
    /// takes an [`admin_token`](Self::admin_token), a random one if none was set.
    #[must_use]
    pub fn allow_other_machines(mut self) -> Self {
        self.anywhere = true;
        self
    }

    /// What `/_mock/v1` takes as Bearer credential from now on. On a loopback address there is none if none is set.
    #[must_use]
    pub fn admin_token(mut self, token: &str) -> Self {
        match token.is_empty() || token.chars().any(|c| !c.is_ascii_graphic()) {
            true => self.note(Err(SetupError::AdminToken)),
            false => {
                self.reach.admin_token = Some(token.to_owned());
                self
            }
        }
    }

    /// The address that clients use, such as `http://mock:9777` or `https://dev.example/coze`, if it is not the one
    /// that the mock listens on: it is in all addresses that the mock hands out.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        match reach::public_url(url) {
            Ok(url) => self.reach.public_url = Some(url),
            Err(problem) => return self.note(Err(problem)),
        }
        self
    }

    /// Takes scheme, host and prefix from `Forwarded` and `X-Forwarded-…`: for a mock behind a proxy that sets
    /// them. A [`public_url`](Self::public_url) counts before them.
    #[must_use]
    pub fn trust_forwarded(mut self) -> Self {
        self.reach.trust_forwarded = true;
        self
    }

    /// Takes what a configuration in TOML sets, in place of what was set before; see the README for its keys. PEM
    /// files that it names are looked for in the working directory.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`]: everything that is wrong, with line and column.
    pub fn toml(self, text: &str) -> Result<Self, ConfigErrors> {
        config::apply(self, text, config::For::Mock(PathBuf::new()))
    }

    /// As [`toml`](Self::toml), from a file; PEM files are looked for beside it.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`], also if the file cannot be read.
    pub fn toml_file(self, path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        config::apply_file(self, path.as_ref())
    }

    /// What `coze-auth-mock check` prints: addresses, apps, users, tokens, what is not as Coze has it, and all limits.
    #[must_use]
    pub fn summary(&self) -> String {
        let listen = match &self.listen {
            Listen::At(address) => address.to_string(),
            Listen::Named(name) => name.clone(),
        };
        let public_url = self.reach.public_url.as_deref();
        summary::summary(&listen, public_url, &self.settings)
    }

    /// For a world that has `settings` where nothing else is said.
    pub(crate) fn of_world(settings: Settings) -> Self {
        Self {
            seed: Some(settings.seed),
            settings,
            ..Self::new()
        }
    }

    pub(crate) const fn has_seed(&self) -> bool {
        self.seed.is_some()
    }

    /// The settings of the worlds, once everything is known to fit.
    pub(crate) fn settings(self) -> Result<Settings, SetupError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut settings = self.settings;
        settings.seed = match self.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        settings.reach = Arc::new(self.reach);
        Ok(settings)
    }

    /// A mock without a socket, for [`CozeAuthMock::call`] and [`CozeAuthMock::router`].
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a rule does not exist or cannot be turned off, if a setting cannot be, or if there is no seed.
    pub fn build(self) -> Result<CozeAuthMock, SetupError> {
        Ok(CozeAuthMock::new(self.settings()?))
    }

    /// Where to listen, and a mock that lets nobody in who should not come.
    fn prepare(mut self) -> Result<(SocketAddr, CozeAuthMock), SetupError> {
        let address = match &self.listen {
            Listen::At(address) if !self.anywhere && !address.ip().is_loopback() => {
                return Err(SetupError::NotLoopback(*address));
            }
            Listen::At(address) => *address,
            Listen::Named(name) => reach::resolve(name, self.anywhere)?,
        };
        if !address.ip().is_loopback() && self.reach.admin_token.is_none() {
            self.reach.admin_token = Some(random_token()?);
            self.reach.made_token = true;
        }
        Ok((address, self.build()?))
    }

    /// A mock that listens, served by a task of the running tokio runtime. Dropping it stops it.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and if the address cannot be found or bound, or is no loopback address and
    /// [`allow_other_machines`](Self::allow_other_machines) was not called.
    pub async fn start(self) -> Result<CozeAuthMock, SetupError> {
        let (address, mock) = self.prepare()?;
        let bind = |source| SetupError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let bound = listener.local_addr().map_err(bind)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = wire::serve(listener, mock.router()).with_graceful_shutdown(async {
            // An error is the sender's drop, which means the same.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move {
            let _ = serve.await;
        });
        Ok(mock.listening(bound, Listening::Task { stop, task }))
    }

    /// As [`start`](Self::start), served by a thread of its own, for tests without a runtime.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and if no thread can be had.
    pub fn start_blocking(self) -> Result<CozeAuthMock, SetupError> {
        let (address, mock) = self.prepare()?;
        let router = mock.router();
        let (stop, stopped) = oneshot::channel::<()>();
        let (report, reported) = mpsc::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let bound = runtime.and_then(|runtime| {
                let listener = runtime.block_on(TcpListener::bind(address))?;
                let bound = listener.local_addr()?;
                Ok((runtime, listener, bound))
            });
            match bound {
                Err(error) => drop(report.send(Err(error))),
                Ok((runtime, listener, bound)) => {
                    drop(report.send(Ok(bound)));
                    runtime.block_on(async {
                        tokio::select! {
                            _ = wire::serve(listener, router) => {}
                            _ = stopped => {}
                        }
                    });
                }
            }
        };
        let thread = std::thread::Builder::new().name("coze-auth-mock".to_owned());
        let thread = thread.spawn(serve).map_err(SetupError::Thread)?;
        let ended = || io::Error::other("the server thread ended before it listened");
        let bound = reported.recv().unwrap_or_else(|_| Err(ended()));
        let bound = bound.map_err(|source| SetupError::Bind { address, source })?;
        let thread = Some(thread);
        let stop = Some(stop);
        Ok(mock.listening(bound, Listening::Thread { stop, thread }))
    }
}

pub(crate) fn seed_of(number: u64) -> [u8; 32] {
    Sha256::digest(number.to_be_bytes()).into()
}

/// From the system and not from aws-lc, whose generator takes 22 ms to start.
fn random_seed() -> Result<[u8; 32], SetupError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(SetupError::Randomness)?;
    Ok(seed)
}

fn random_token() -> Result<String, SetupError> {
    Ok(Ids::new(random_seed()?).opaque("", 32))
}
