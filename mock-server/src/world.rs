//! One world, the registry of all worlds, and the pipeline of a request.

pub(crate) mod memory;
pub(crate) mod own_port;
pub(crate) mod pipeline;
pub(crate) mod wait;
pub(crate) mod worlds;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::response::Response;
use http::HeaderValue;
use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::intercept::apis::Apis;
use crate::intercept::faults::Faults;
use crate::intercept::gates::Gates;
use crate::journal::log_id::world_of;
use crate::journal::notifier::Notifier;
use crate::journal::record::Record;
use crate::net::addressing::Addressing;
use crate::state::State;
use crate::state::settings::Settings;
use crate::time::clock::ClockHandle;
use memory::{Home, Locked};
use own_port::Slot;
use worlds::{PREFIX, Worlds};

/// The base URL of a mock without a socket.
pub(crate) const NOWHERE: &str = "http://localhost";

/// One world: its state behind a lock, and its clock, gates, faults and notifier outside of it, so that nothing waits while
/// it holds that lock. [`MockWorld`](crate::MockWorld) is what a test holds of it.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    /// The world's; it stays the same one.
    clock: ClockHandle,
    /// Of the newest answer: its second, and how the header says it.
    date: Mutex<Option<(u64, HeaderValue)>>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) apis: Apis,
    /// The journal's.
    pub(crate) notifier: Arc<Notifier>,
    home: OnceLock<Home>,
    /// Number of bytes that are counted for it.
    counted: AtomicUsize,
    /// Those of them that are for its configuration.
    configured: AtomicUsize,
    port: Mutex<Slot>,
    /// Where it is below the mock's root: empty, or `/t/{name}`.
    pub(crate) mount: String,
    /// Scheme, host, port and mount; set once the mock listens, unless it has a public URL.
    pub(crate) base_url: OnceLock<String>,
    pub(crate) addressing: Arc<Addressing>,
}

impl World {
    pub(crate) fn new(state: State, mount: String, addressing: Arc<Addressing>) -> Arc<Self> {
        let public = addressing.public_url.as_ref();
        let base_url = public.map(|url| OnceLock::from(format!("{url}{mount}")));
        let faults = Faults::new(state.settings.seed);
        faults.configure(&state.settings.faults);
        let apis = Apis::default();
        apis.configure(&state.settings.apis);
        Arc::new(Self {
            faults,
            apis,
            base_url: base_url.unwrap_or_default(),
            addressing,
            notifier: state.journal.notifier.clone(),
            clock: state.settings.clock.clone(),
            date: Mutex::default(),
            state: Mutex::new(state),
            gates: Arc::default(),
            home: OnceLock::new(),
            counted: AtomicUsize::new(0),
            configured: AtomicUsize::new(0),
            port: Mutex::default(),
            mount,
        })
    }

    /// None for the first world.
    pub(crate) fn name(&self) -> Option<&str> {
        self.mount.strip_prefix(PREFIX)
    }

    /// What `found` makes of the request with this log id, in whichever world of the mock it is.
    pub(crate) fn with_request<T>(
        &self,
        logid: &str,
        found: impl FnOnce(&Record) -> T,
    ) -> Option<T> {
        let of = world_of(logid);
        if of == self.name() {
            return self.state().journal.find(logid).map(found);
        }
        let worlds = self.worlds()?;
        let other = match of {
            None => worlds.first(),
            Some(name) => worlds.known(name)?,
        };
        other.state().journal.find(logid).map(found)
    }

    pub(crate) fn state(&self) -> Locked<'_> {
        Locked::new(self)
    }

    /// All worlds of the mock, itself included; none once the mock has ended.
    pub(crate) fn worlds(&self) -> Option<Arc<Worlds>> {
        self.home.get()?.worlds.upgrade()
    }

    /// Resets the world. Requests that wait are released last, so that they act on the new state.
    pub(crate) fn reset(&self) {
        self.state().reset();
        self.release_all();
        let state = self.state();
        self.faults.configure(&state.settings.faults);
        self.apis.reset(&state.settings.apis);
        drop(state);
        self.recount();
    }

    /// See [`State::reload`].
    pub(crate) fn reload(&self, settings: &Settings) {
        self.state().reload(settings);
        self.faults.configure(&settings.faults);
        self.apis.configure(&settings.apis);
    }

    /// Releases all requests that wait at gates or in faults, and all clients that wait for requests.
    pub(crate) fn release_all(&self) {
        self.faults.reset();
        self.gates.open_all();
        self.notifier.end();
    }

    /// Ends the world: nothing waits in it from now on, and its port is closed.
    pub(crate) fn end(&self) {
        self.end_port();
        self.gates.end();
        self.faults.end();
        self.release_all();
    }

    /// By the mock's clock, as a server's date goes by its own; so answers of a frozen clock are the same in every start.
    pub(crate) fn date(&self, response: &mut Response) {
        let now_s = self.clock.unix_ms() / 1000;
        let mut newest = self.date.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_none_or(|(second, _)| *second != now_s) {
            *newest = date(now_s).map(|date| (now_s, date));
        }
        if let Some((_, date)) = &*newest {
            response.headers_mut().insert(DATE, date.clone());
        }
    }

    /// Another world of the mock, if it is there.
    pub(crate) fn other(&self, name: &str) -> Option<Arc<Self>> {
        self.worlds()?.known(name)
    }

    pub(crate) fn base_url(&self) -> &str {
        self.base_url.get().map_or(NOWHERE, String::as_str)
    }
}

fn date(unix_s: u64) -> Option<HeaderValue> {
    let at = Timestamp::from_second(i64::try_from(unix_s).ok()?).ok()?;
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
    HeaderValue::from_str(&date.ok()?).ok()
}
