//! The faults and scripts of a world, and their choice for a request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::fault::Fault;
use super::fault_kind::Kind;
use super::phase::At;
use super::registry::{Item, Registered, Registry};
use super::script::{ErrorStep, Meets, Script, ScriptEnd, ScriptStep};
use super::selector::On;
use crate::protocol::request::Incoming;
use crate::protocol::response::Reply;
use crate::time::ticker::Ticker;

/// The handle of a fault. Dropping it removes the fault, and releases the requests that the fault holds or delays.
#[must_use = "a fault is removed when it is dropped"]
pub struct FaultHandle {
    placed: Arc<Registered<Placed>>,
    faults: Arc<Faults>,
}

impl FaultHandle {
    /// Number of requests that the fault's selector matched, those that passed included.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.placed.item.counts().matched
    }

    /// Number of requests on which the fault acted.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.placed.item.counts().fired
    }

    /// Removes the fault, as dropping the handle does.
    pub fn remove(self) {
        drop(self);
    }
}

impl Drop for FaultHandle {
    fn drop(&mut self) {
        self.faults.placed.remove_item(&self.placed);
    }
}

impl fmt::Debug for FaultHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultHandle").field(&self.placed).finish()
    }
}

/// The handle of a script. Dropping it ends the script.
#[must_use = "a script ends when it is dropped"]
pub struct ScriptHandle {
    script: Arc<Registered<Script>>,
    faults: Arc<Faults>,
}

impl ScriptHandle {
    /// Number of requests that the script's selector matched.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.script.item.matched()
    }

    /// Ends the script, as dropping the handle does.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for ScriptHandle {
    fn drop(&mut self) {
        self.faults.scripts.remove_item(&self.script);
    }
}

impl fmt::Debug for ScriptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScriptHandle").field(&self.script).finish()
    }
}

#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) on: On,
    pub(crate) fault: Fault,
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) matched: u64,
    pub(crate) fired: u64,
}

impl Item for Placed {
    fn bytes(&self) -> usize {
        self.fault.bytes()
    }
}

impl Placed {
    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a matching request, and returns true if the fault acts on it. `roll` gets the number of the request.
    fn fires(&self, fits: bool, roll: impl FnOnce(u64) -> f64) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.matched += 1;
        let Fault {
            times,
            skip,
            probability,
            ..
        } = self.fault;
        let may = fits && counts.matched > skip && counts.fired < times;
        let fires = may && roll(counts.matched) < probability;
        counts.fired += u64::from(fires);
        fires
    }
}

/// A fault that acts on a request.
#[derive(Debug)]
pub(crate) struct Firing {
    pub(crate) fault: Fault,
    /// The id of the script, if the fault is a step of one.
    pub(crate) script: Option<String>,
    removed: watch::Receiver<bool>,
}

impl Firing {
    /// Waits for as long as the fault delays the request.
    pub(crate) async fn wait(mut self) {
        let removed = async {
            // An error means that the sender was dropped, which has the same meaning.
            let _ = self.removed.wait_for(|removed| *removed).await;
        };
        match self.fault.kind {
            Kind::Hold => removed.await,
            Kind::Delay(by) => {
                let mut ticker = Ticker::every(by);
                tokio::select! {
                    () = ticker.next() => {}
                    () = removed => {}
                }
            }
            _ => {}
        }
    }
}

/// What acts on a request before the mock looks at it.
#[derive(Debug)]
pub(crate) enum Match {
    Error(ErrorStep, String),
    Fault(Firing),
}

/// The faults and scripts of one world, each in the order in which they were set.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: [u8; 32],
    pub(crate) placed: Registry<Placed>,
    pub(crate) scripts: Registry<Script>,
    /// The ids of the faults that the settings have.
    configured: Mutex<Vec<String>>,
}

impl Faults {
    pub(crate) fn new(seed: [u8; 32]) -> Arc<Self> {
        Arc::new(Self {
            seed,
            placed: Registry::new('f'),
            scripts: Registry::new('s'),
            configured: Mutex::default(),
        })
    }

    /// Adds a fault. Returns none if there are `most` already.
    /// Number of bytes that faults and scripts hold, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.placed.bytes() + self.scripts.bytes()
    }

    pub(crate) fn place(
        &self,
        on: On,
        fault: Fault,
        most: usize,
    ) -> Option<Arc<Registered<Placed>>> {
        let counts = Mutex::default();
        self.placed.put(Placed { on, fault, counts }, most)
    }

    /// Adds a script. Returns none if there are `most` already.
    pub(crate) fn run(
        &self,
        on: On,
        steps: Vec<ScriptStep>,
        after: ScriptEnd,
        most: usize,
    ) -> Option<Arc<Registered<Script>>> {
        self.scripts.put(Script::new(on, steps, after), most)
    }

    pub(crate) fn set(self: &Arc<Self>, on: On, fault: Fault) -> FaultHandle {
        let placed = self.place(on, fault, usize::MAX);
        FaultHandle {
            placed: placed.expect("as many as memory holds"),
            faults: self.clone(),
        }
    }

    pub(crate) fn set_script(
        self: &Arc<Self>,
        on: On,
        steps: Vec<ScriptStep>,
        after: ScriptEnd,
    ) -> ScriptHandle {
        let script = self.run(on, steps, after, usize::MAX);
        ScriptHandle {
            script: script.expect("as many as memory holds"),
            faults: self.clone(),
        }
    }

    /// Adds the faults of the settings, and removes those of earlier settings.
    pub(crate) fn configure(&self, faults: &[(On, Fault)]) {
        let ids = self.configured.lock();
        let mut ids = ids.unwrap_or_else(PoisonError::into_inner);
        for id in ids.drain(..) {
            self.placed.remove(&id);
        }
        for (on, fault) in faults {
            let placed = self.place(on.clone(), fault.clone(), usize::MAX);
            ids.extend(placed.map(|placed| placed.id.clone()));
        }
    }

    /// Removes all faults and scripts, those of the settings included.
    pub(crate) fn reset(&self) {
        self.placed.reset();
        self.scripts.reset();
    }

    /// Removes all, and makes later ones act as removed, so that no request waits any more.
    pub(crate) fn end(&self) {
        self.placed.end();
        self.scripts.end();
    }

    /// Returns the next step of a script or, if there is none or it passes, a fault at the request.
    pub(crate) fn meet(&self, request: &Incoming) -> Option<Match> {
        self.next_step(request)
            .or_else(|| self.fires(request, At::Request, None).map(Match::Fault))
    }

    fn next_step(&self, request: &Incoming) -> Option<Match> {
        for script in self.scripts.all() {
            if !script.item.on.matches(request) {
                continue;
            }
            match script.item.next() {
                None => {}
                Some(ScriptStep(Meets::Rules)) => return None,
                Some(ScriptStep(Meets::Error(error))) => {
                    return Some(Match::Error(error, script.id.clone()));
                }
                Some(ScriptStep(Meets::Fault(fault))) => {
                    return Some(Match::Fault(Firing {
                        fault: *fault,
                        script: Some(script.id.clone()),
                        removed: script.removed(),
                    }));
                }
            }
        }
        None
    }

    /// Returns the first fault that matches this request and acts. Later ones do not count the request. At the answer, a fault
    /// that finds nothing to change in `reply` does not act.
    pub(crate) fn fires(
        &self,
        request: &Incoming,
        at: At,
        reply: Option<&Reply>,
    ) -> Option<Firing> {
        let all = self.placed.all();
        let here = all.iter().filter(|registered| {
            registered.item.fault.at == at && registered.item.on.matches(request)
        });
        for registered in here {
            let fits = reply.is_none_or(|reply| registered.item.fault.fits(reply));
            if registered
                .item
                .fires(fits, |n| self.roll(&registered.id, n))
            {
                return Some(Firing {
                    fault: registered.item.fault.clone(),
                    script: None,
                    removed: registered.removed(),
                });
            }
        }
        None
    }

    /// A number from 0 up to 1, which is the same for the same seed, fault and number.
    fn roll(&self, id: &str, n: u64) -> f64 {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(self.seed)
            .chain_update(id)
            .chain_update(n.to_be_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        f64::from(u32::from_be_bytes([a, b, c, d])) / 4_294_967_296.0
    }
}
