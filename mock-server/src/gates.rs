//! Gates hold requests to the data plane, or the answers to them, until a test lets them go on.

mod held;

use std::cell::LazyCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call::Incoming;
use crate::data_plane::{self, Endpoint};
use crate::token;

pub(crate) use held::Held;

/// Which requests a gate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct On {
    pub(crate) endpoint: &'static str,
    pub(crate) grant: Option<&'static str>,
}

impl On {
    /// Every request to the token endpoint.
    #[must_use]
    pub const fn token() -> Self {
        Self {
            endpoint: "token",
            grant: None,
        }
    }

    /// Requests to the token endpoint for one grant: `authorization_code`, `refresh_token`,
    /// `device_code` or `jwt_bearer`, as the journal names them.
    ///
    /// # Panics
    ///
    /// If there is no such grant.
    #[must_use]
    pub fn grant(name: &str) -> Self {
        Self::named("token", Some(name)).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Requests to one endpoint: `authorize`, `token`, `device_code`, `users_me` or `unknown`, as
    /// the journal names them.
    ///
    /// # Panics
    ///
    /// If there is no such endpoint.
    #[must_use]
    pub fn endpoint(name: &str) -> Self {
        Self::named(name, None).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The error tells which names there are, and quotes none that came.
    pub(crate) fn named(endpoint: &str, grant: Option<&str>) -> Result<Self, String> {
        let names = data_plane::ENDPOINTS;
        let known = names.into_iter().find(|known| *known == endpoint);
        let endpoint = known.ok_or_else(|| format!("endpoint is one of {}", names.join(", ")))?;
        let Some(grant) = grant else {
            return Ok(Self {
                endpoint,
                grant: None,
            });
        };
        let mut grants = token::GRANTS.into_iter().map(|(_, name)| name);
        match grants.clone().find(|known| *known == grant) {
            Some(found) if endpoint == "token" => Ok(Self {
                endpoint,
                grant: Some(found),
            }),
            _ => {
                let first = grants.next().unwrap_or_default();
                let all = grants.fold(first.to_owned(), |all, name| format!("{all}, {name}"));
                Err(format!("grant is one of {all}, and of the endpoint token"))
            }
        }
    }
}

/// Where a gate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// Before the mock looks at the request: nothing has changed, the journal knows nothing of it.
    Request,
    /// After the mock has acted and written it down, before a byte of the answer is sent.
    Answer,
}

/// Holds requests to the data plane; those that a consent or device page makes and
/// [`CozeAuthMock::authorize`](crate::CozeAuthMock::authorize) pass. Dropping it opens it.
#[must_use = "a gate opens when it is dropped"]
pub struct Gate {
    held: Arc<Held>,
    gates: Arc<Gates>,
}

impl Gate {
    /// Waits until at least `n` requests have come to this gate since it was set, those that went
    /// on or hung up included. False: not within `timeout` of real time, or the gate was opened by
    /// a reset, another gate of its name or the end of the mock.
    ///
    /// Needs no runtime's timer.
    pub async fn arrived(&self, n: usize, timeout: Duration) -> bool {
        self.held.arrived(n, timeout).await
    }

    /// [`arrived`](Self::arrived), blocking this thread.
    #[must_use]
    pub fn arrived_blocking(&self, n: usize, timeout: Duration) -> bool {
        self.held.arrived_blocking(n, timeout)
    }

    /// How many requests are held now; a client that hung up is not counted.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.held.counts().1
    }

    /// Lets the `n` that have waited longest go on; if fewer wait, also the next that come.
    pub fn release(&self, n: usize) {
        self.held.release(n);
    }

    /// Lets all go on and removes the gate, as dropping it does.
    pub fn open(self) {
        drop(self);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.gates.remove(&self.held);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.held).finish()
    }
}

/// The gates of one mock, in the order in which they were set. Apart from the world, so that
/// nobody waits while holding its lock.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    all: Mutex<Vec<Arc<Held>>>,
}

impl Gates {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Held>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the one that had this name.
    pub(crate) fn set(self: &Arc<Self>, name: &str, on: On, at: At) -> Gate {
        let held = Held::new(name, on, at);
        self.put(held.clone(), usize::MAX);
        Gate {
            held,
            gates: self.clone(),
        }
    }

    /// False: there are `most` others.
    pub(crate) fn put(&self, held: Arc<Held>, most: usize) -> bool {
        let mut all = self.all();
        let before = all.iter().position(|other| other.name == held.name);
        if before.is_none() && all.len() >= most {
            return false;
        }
        // Set before the other opens: who comes in between finds one of the two.
        all.push(held);
        if let Some(before) = before {
            all.remove(before).open();
        }
        true
    }

    pub(crate) fn named(&self, name: &str) -> Option<Arc<Held>> {
        let all = self.all();
        all.iter().find(|held| held.name == name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.all().iter().map(|held| held.name.clone()).collect()
    }

    /// Opens `held`, and leaves another of its name alone.
    pub(crate) fn remove(&self, held: &Arc<Held>) {
        self.all().retain(|other| !Arc::ptr_eq(other, held));
        held.open();
    }

    /// How many there are, and how many requests wait at them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let all = self.all();
        (all.len(), all.iter().map(|held| held.counts().1).sum())
    }

    /// Whether a request waits at one of them.
    pub(crate) fn holds(&self) -> bool {
        self.all().iter().any(|held| held.counts().1 > 0)
    }

    pub(crate) fn open_all(&self) {
        for held in self.all().drain(..) {
            held.open();
        }
    }

    /// Takes a request through every gate that holds it here.
    pub(crate) async fn pass(&self, request: &Incoming, at: At) {
        for held in self.before(request, at) {
            held.pass().await;
        }
    }

    fn before(&self, request: &Incoming, at: At) -> Vec<Arc<Held>> {
        let all = self.all();
        let mut here: Vec<_> = all.iter().filter(|held| held.at == at).cloned().collect();
        drop(all);
        let endpoint = Endpoint::of(&request.path).name();
        let grant = LazyCell::new(|| token::grant_of(&request.body));
        here.retain(|held| {
            let on = held.on;
            on.endpoint == endpoint && (on.grant.is_none() || on.grant == *grant)
        });
        here
    }
}
