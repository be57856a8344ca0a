//! Making a mock: settings, then a socket or none.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;

use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::clock::ClockHandle;
use crate::mock::{CozeAuthMock, Listening};
use crate::rules::Rule;
use crate::wire;
use crate::world::{Consent, Settings};

/// Settings of a mock, then [`start`](Self::start), [`start_blocking`](Self::start_blocking) or
/// [`build`](Self::build).
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    seed: Option<[u8; 32]>,
    listen: SocketAddr,
    problem: Option<SetupError>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::standard([0; 32]),
            seed: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
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
        self.listen = address;
        self
    }

    /// A mock without a socket, for [`CozeAuthMock::call`] and [`CozeAuthMock::router`].
    ///
    /// # Errors
    ///
    /// [`SetupError`] if a rule does not exist or cannot be turned off, or if there is no seed.
    pub fn build(self) -> Result<CozeAuthMock, SetupError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut settings = self.settings;
        settings.seed = match self.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        Ok(CozeAuthMock::new(settings))
    }

    /// A mock that listens, served by a task of the running tokio runtime. Dropping it stops it.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and if the address is no loopback address or cannot be bound.
    pub async fn start(self) -> Result<CozeAuthMock, SetupError> {
        let address = loopback(self.listen)?;
        let mock = self.build()?;
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
        let address = loopback(self.listen)?;
        let mock = self.build()?;
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

/// The mock mints tokens for whoever asks, so other machines cannot ask.
fn loopback(address: SocketAddr) -> Result<SocketAddr, SetupError> {
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(SetupError::NotLoopback(address)),
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

/// A mock could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// No rule has this id.
    UnknownRule(String),
    /// This rule cannot be turned off.
    NoSwitch(String),
    /// A breach of this rule cannot be answered with this HTTP status.
    BadAnswer(String, u16),
    /// Only loopback addresses are allowed.
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread.
    Thread(io::Error),
    /// The system gave no random seed.
    Randomness(getrandom::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRule(id) => {
                let switches = Rule::ALL.iter().filter(|rule| rule.text().switch);
                let ids: Vec<_> = switches.map(|rule| rule.id()).collect();
                write!(
                    f,
                    "there is no rule {id:?}; these can be switched: {}",
                    ids.join(", ")
                )
            }
            Self::NoSwitch(id) => write!(f, "the rule {id} cannot be turned off"),
            Self::BadAnswer(id, status) => {
                write!(
                    f,
                    "{id} cannot be answered with status {status}: use 200–299 or 400–599"
                )
            }
            Self::NotLoopback(address) => write!(
                f,
                "{address} can be reached from other machines; the mock gives tokens to anyone, so listen on 127.0.0.1 or [::1]"
            ),
            Self::Bind { address, source } => write!(
                f,
                "cannot listen on {address}: {source}; stop what is using it, or use port 0 for any free port"
            ),
            Self::Thread(source) => write!(f, "cannot start the server thread: {source}"),
            Self::Randomness(source) => {
                write!(f, "the system gave no random seed: {source}; set a seed")
            }
        }
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::Thread(source) => Some(source),
            Self::Randomness(source) => Some(source),
            _ => None,
        }
    }
}
