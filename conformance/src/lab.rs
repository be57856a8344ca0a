//! Where cases run: one mock with a world for each, and another origin.

mod controls;
mod scene;
mod seen;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use coze_auth_mock::{CozeAuthMock, MockWorld};

use crate::case::{Case, Check};
use crate::check::{self, Judged};
use crate::client::{About, Client};
use crate::clock::SharedClock;
use crate::result::{CaseResult, CheckResult, Verdict};
use scene::{Ended, Scene};

/// Two mock servers. Each case has a world of the first to itself; the second is another origin, where no
/// credential has any business.
#[derive(Debug)]
pub struct Lab {
    mock: Arc<CozeAuthMock>,
    elsewhere: Arc<CozeAuthMock>,
    made: AtomicU64,
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
        let start = || {
            let mock = CozeAuthMock::builder().seed(1).start_blocking();
            Arc::new(mock.expect("a free port on 127.0.0.1"))
        };
        Self {
            mock: start(),
            elsewhere: start(),
            made: AtomicU64::new(0),
        }
    }

    /// The one of this process.
    #[must_use]
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// A fresh world with the settings of a case.
    fn world(
        mock: &CozeAuthMock,
        name: &str,
        clock: &SharedClock,
        settings: &str,
    ) -> Result<MockWorld, String> {
        let builder = CozeAuthMock::builder()
            .toml(settings)
            .map_err(|errors| errors.to_string())?;
        // The same seed for every case: what it sees does not depend on the cases before.
        let builder = builder.seed(1).clock(clock.handle());
        mock.make_world(name, builder)
            .map_err(|error| error.to_string())
    }

    /// Runs one case over a client.
    pub fn run(&self, client: &mut dyn Client, case: &Case) -> CaseResult {
        let started = Instant::now();
        let about = client.about().clone();
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
        if let Some(missing) = missing(&about, &case.needs) {
            result.checks = all(case, Verdict::NotApplicable, &missing);
            return result;
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let scene = Scene::open(&self.mock, &self.elsewhere, &format!("c{number}"), case);
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
            Ok(ended) => judged(&scene, case, &about, ended),
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
}

fn judged(scene: &Scene, case: &Case, about: &About, ended: Ended) -> Vec<CheckResult> {
    match ended {
        Ended::Wrong(why) => return all(case, Verdict::HarnessError, &why),
        // It may quote what the client said.
        Ended::NotTestable(why) => return all(case, Verdict::NotTestable, &scene.masked(&why)),
        Ended::Played => {}
    }
    // What failed, and what says nothing without it.
    let mut silent = Vec::new();
    let mut judge = |check: &Check| {
        if let Some(missing) = missing(about, &check.needs) {
            return made(case, check, Verdict::NotApplicable, Some(&missing));
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
            (Judged::Pass, _) => return made(case, check, Verdict::Pass, None),
            (Judged::Wrong(why), None) => {
                return made(case, check, Verdict::HarnessError, Some(&why));
            }
            (Judged::Fail(why), None) => why,
            // It may compare with a step that was not reached: no fault of the case.
            (Judged::Fail(why) | Judged::Wrong(why), Some(stopped)) => format!("{why} ({stopped})"),
        };
        silent.push(check.id.clone());
        made(case, check, Verdict::Fail, Some(&scene.masked(&why)))
    };
    case.checks.iter().map(&mut judge).collect()
}

fn missing(about: &About, needs: &[String]) -> Option<String> {
    needs.iter().find_map(|need| match need.strip_prefix('!') {
        Some(other) => about.can(other).then(|| format!("it does {other} itself")),
        None => (!about.can(need)).then(|| format!("it has not declared {need}")),
    })
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
