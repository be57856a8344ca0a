//! Where cases run: one mock with a world for each, and another origin.

mod applicable;
mod controls;
mod scene;
mod seen;
mod watched;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::case::{Case, Check};
use crate::check::{self, Judged};
use crate::client::Client;
use crate::live::Service;
use crate::result::{CaseResult, CheckResult, Verdict};
use crate::url_mode;
use scene::{Ended, Scene};
use watched::Mocks;

/// Two mock servers. Each case has a world of the first to itself; the second is another origin, where no
/// credential has any business. Or the real service, which nobody watches.
#[derive(Debug)]
pub struct Lab {
    server: Server,
    made: AtomicU64,
}

#[derive(Debug)]
enum Server {
    Mocks(Mocks),
    Live(Service),
}

static SHARED: LazyLock<Lab> = LazyLock::new(Lab::new);

impl Lab {
    /// A lab on two free ports of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[allow(clippy::new_without_default)] // it starts servers: not something to do in passing
    #[must_use]
    pub fn new() -> Self {
        Self {
            server: Server::Mocks(Mocks::start()),
            made: AtomicU64::new(0),
        }
    }

    /// The real service. No mock is started, time is the machine's, and what is not marked `live_safe` is not sent.
    #[must_use]
    pub const fn live(service: Service) -> Self {
        Self {
            server: Server::Live(service),
            made: AtomicU64::new(0),
        }
    }

    /// So many clients of a kind at once at most.
    pub(crate) const fn most_workers(&self) -> usize {
        match self.server {
            Server::Mocks(_) => usize::MAX,
            // Somebody else's.
            Server::Live(_) => 1,
        }
    }

    /// The one of this process.
    #[must_use]
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// Runs one case over a client.
    pub fn run(&self, client: &mut dyn Client, case: &Case) -> CaseResult {
        let started = Instant::now();
        let mut result = CaseResult {
            id: case.id.clone(),
            title: case.title.clone(),
            kind: case.kind,
            why: case.why.clone(),
            checks: Vec::new(),
            log: Vec::new(),
            real_ms: 0,
            virtual_ms: 0,
        };
        if let Some(why) = applicable::why_no_case(&self.server, client, case) {
            result.checks = all(case, Verdict::NotApplicable, &why);
            return result;
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let scene = Scene::open(&self.server, &format!("c{number}"), case, client.tells());
        let mut scene = match scene {
            Ok(scene) => scene,
            Err(why) => {
                result.checks = all(case, Verdict::HarnessError, &why);
                return result;
            }
        };
        // A subject that panics has failed this case and no other.
        let ended = catch_unwind(AssertUnwindSafe(|| scene.play(client)));
        scene.close();
        result.checks = match ended {
            Ok(ended) => self.judged(&scene, case, client, ended),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| panic.downcast_ref().map(|text: &&str| (*text).to_owned()));
                let why = format!("it panicked: {}", text.unwrap_or_default());
                all(case, Verdict::Fail, &scene.masked(&why))
            }
        };
        result.log = scene.log();
        result.virtual_ms = scene.passed_ms();
        result.real_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        result
    }

    fn judged(
        &self,
        scene: &Scene,
        case: &Case,
        client: &dyn Client,
        ended: Ended,
    ) -> Vec<CheckResult> {
        match ended {
            Ended::Wrong(why) => return all(case, Verdict::HarnessError, &scene.masked(&why)),
            Ended::NotApplicable(why) => return all(case, Verdict::NotApplicable, &why),
            // It may quote what the client said.
            Ended::NotTestable(why) => return all(case, Verdict::NotTestable, &scene.masked(&why)),
            Ended::Played => {}
        }
        let hollow = match client.tells() {
            true => scene.invented(),
            false => url_mode::hollow(&scene.document, case),
        };
        // What failed, and what says nothing without it.
        let mut silent = Vec::new();
        let mut judge = |check: &Check| {
            if let Some(why) = applicable::why_no_check(&self.server, client, case, check) {
                return made(case, check, Verdict::NotApplicable, Some(&why));
            }
            if let Some(after) = check.after.as_ref().filter(|after| silent.contains(*after)) {
                silent.push(check.id.clone());
                let why = format!("it says nothing without {after}");
                return made(case, check, Verdict::NotJudged, Some(&why));
            }
            let why = match (
                check::judge(&scene.document, check),
                scene.stopped_at.as_deref(),
            ) {
                (Judged::Pass, _) => match &hollow {
                    None => return made(case, check, Verdict::Pass, None),
                    Some(why) => return made(case, check, Verdict::NotTestable, Some(why)),
                },
                (Judged::Wrong(why), None) => {
                    return made(case, check, Verdict::HarnessError, Some(&why));
                }
                (Judged::Fail(why), None) => cut(scene.masked(&why)),
                // It may compare with a step that was not reached: no fault of the case.
                (Judged::Fail(why) | Judged::Wrong(why), Some(stopped)) => {
                    let (why, stopped) = (cut(scene.masked(&why)), scene.masked(stopped));
                    format!("{why} ({})", cut(stopped))
                }
            };
            silent.push(check.id.clone());
            made(case, check, Verdict::Fail, Some(&why))
        };
        case.checks.iter().map(&mut judge).collect()
    }
}

/// As much as a person reads.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(400) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn all(case: &Case, verdict: Verdict, why: &str) -> Vec<CheckResult> {
    let checks = case.checks.iter();
    checks
        .map(|check| made(case, check, verdict, Some(why)))
        .collect()
}

fn made(case: &Case, check: &Check, verdict: Verdict, why: Option<&str>) -> CheckResult {
    CheckResult {
        id: format!("{}#{}", case.id, check.id),
        level: check.level,
        spec: check.spec.clone(),
        verdict,
        why: why.map(str::to_owned),
        known: None,
    }
}
