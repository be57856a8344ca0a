//! Runs one case over a client: on a mock server with a world for each case, beside a second one as another origin.

mod applicable;
mod case_run;
mod controls;
mod relay;
mod server_side;
mod wire_log;

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
use case_run::{CaseRun, Ended};
use server_side::Mocks;

/// Two mock servers. Each case has a world of the first to itself; the second is another origin, where no
/// credential has any business. Or the real service, whose requests nobody records.
#[derive(Debug)]
pub struct Harness {
    server: Server,
    made: AtomicU64,
}

#[derive(Debug)]
enum Server {
    Mocks(Mocks),
    Live(Service),
}

static SHARED: LazyLock<Harness> = LazyLock::new(Harness::new);

impl Harness {
    /// A harness on two free ports of 127.0.0.1.
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

    /// Maximum number of clients of one kind that run concurrently.
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
        let case_run = CaseRun::open(&self.server, &format!("c{number}"), case, client);
        let mut case_run = match case_run {
            Ok(case_run) => case_run,
            Err(why) => {
                result.checks = all(case, Verdict::HarnessError, &why);
                return result;
            }
        };
        // A subject that panics has failed this case and no other.
        let ended = catch_unwind(AssertUnwindSafe(|| case_run.execute(client)));
        case_run.close();
        result.checks = match ended {
            Ok(ended) => self.judged(&case_run, case, client, ended),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| panic.downcast_ref().map(|text: &&str| (*text).to_owned()));
                let why = format!("it panicked: {}", text.unwrap_or_default());
                all(case, Verdict::Fail, &case_run.masked(&why))
            }
        };
        result.log = case_run.log();
        result.virtual_ms = case_run.passed_ms();
        result.real_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        result
    }

    fn judged(
        &self,
        case_run: &CaseRun,
        case: &Case,
        client: &dyn Client,
        ended: Ended,
    ) -> Vec<CheckResult> {
        match ended {
            Ended::Wrong(why) => return all(case, Verdict::HarnessError, &case_run.masked(&why)),
            Ended::NotApplicable(why) => return all(case, Verdict::NotApplicable, &why),
            // It may quote what the client said.
            Ended::NotTestable(why) => {
                return all(case, Verdict::NotTestable, &case_run.masked(&why));
            }
            Ended::Completed => {}
        }
        let hollow = match client.tells() {
            true => case_run.invented(),
            false => url_mode::hollow(&case_run.document, case),
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
                check::judge(&case_run.document, check),
                case_run.stopped_at.as_deref(),
            ) {
                (Judged::Pass, _) => match &hollow {
                    None => return made(case, check, Verdict::Pass, None),
                    Some(why) => return made(case, check, Verdict::NotTestable, Some(why)),
                },
                (Judged::Wrong(why), None) => {
                    return made(case, check, Verdict::HarnessError, Some(&why));
                }
                (Judged::Fail(why), None) => cut(case_run.masked(&why)),
                // It may compare with a step that was not reached: no fault of the case.
                (Judged::Fail(why) | Judged::Wrong(why), Some(stopped)) => {
                    let (why, stopped) = (cut(case_run.masked(&why)), case_run.masked(stopped));
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
