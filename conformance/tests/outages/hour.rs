//! One virtual hour: a caller asks every second, from the moment at which its token has ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::SteadyTime;
use coze_auth_store::{GrantStore, MemoryStore};

use crate::caller::caller;
use crate::disk::Disk;
use crate::fixture::{Fixture, Kind};
use crate::outage::Outage;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long a token lives here.
const LIFE: Duration = Duration::from_secs(900);
/// The timeout where an answer is waited for that does not come.
const SHORT: Duration = Duration::from_millis(100);

/// What an hour came to.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Hour {
    /// Requests in the first minute, and in the hour.
    minute: usize,
    hour: usize,
    /// From its end to the next token, if that comes within an hour.
    back: Option<Duration>,
    /// What the last failure said.
    said: String,
}

/// At most.
pub(crate) struct Goal {
    pub(crate) minute: usize,
    pub(crate) hour: usize,
    pub(crate) back: Duration,
}

impl Hour {
    pub(crate) fn misses(&self, goal: &Goal) -> Vec<String> {
        let figures = [
            (
                "requests in the first minute",
                self.minute as u64,
                goal.minute as u64,
            ),
            ("requests in the hour", self.hour as u64, goal.hour as u64),
            (
                "seconds until it is back",
                self.back.map_or(u64::MAX, |back| back.as_secs()),
                goal.back.as_secs(),
            ),
        ];
        let missed = figures.iter().filter(|(_, is, goal)| is > goal);
        missed
            .map(|(what, is, goal)| format!("{is} {what}, {goal} at most"))
            .collect()
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (minute, hour, said) = (self.minute, self.hour, self.said.replace('|', "\\|"));
        let back = self.back.map(|back| format!("{} s", back.as_secs()));
        let back = back.unwrap_or_else(|| "never".to_owned());
        write!(f, "{minute} | {hour} | {back} | {said}")
    }
}

pub(crate) fn hour(outage: Outage, kind: Kind, adapter: &str) -> Hour {
    let fixture = Fixture::new();
    let mut settings = fixture.settings();
    settings.timeout = (outage == Outage::Hangs).then_some(SHORT);
    let disk = outage.is_of_a_disk().then(|| Disk::new().expect("root"));
    let store: Arc<dyn GrantStore> = match &disk {
        Some(disk) => Arc::new(disk.store(&fixture.network)),
        None => Arc::new(MemoryStore::new()),
    };
    let credential = match kind {
        Kind::Jwt => fixture.jwt(),
        Kind::Login => fixture.login(store),
    };
    let caller = caller(adapter, &settings, credential);
    caller().expect("a token before the outage");
    fixture.clock.advance(LIFE);

    let end = outage.begin(&fixture, disk.as_ref());
    let since = |moment: SteadyTime| moment.until(fixture.clock.now().steady);
    let (began, before) = (fixture.clock.now().steady, fixture.network.look_ups());
    let requests = || fixture.network.look_ups() - before;
    let (mut minute, mut said) = (None, String::from("—"));
    let mut ask = || {
        let token = caller();
        if let Err(error) = &token {
            said = clean(&error.to_string(), disk.as_ref());
        }
        fixture.clock.advance(SECOND);
        token.is_ok()
    };
    while since(began) < HOUR {
        if since(began) >= MINUTE {
            minute.get_or_insert_with(requests);
        }
        ask();
    }
    let hour = requests();
    // It ends at the worst moment, right after a try.
    let tries = fixture.network.tries();
    while fixture.network.tries() == tries && since(began) < HOUR * 2 {
        ask();
    }
    end();
    let ended = fixture.clock.now().steady;
    let back = loop {
        let passed = since(ended);
        match ask() {
            true => break Some(passed),
            false if passed > HOUR => break None,
            false => {}
        }
    };
    if outage.lets_requests_by() {
        let requests = fixture.mock.requests().len();
        assert_eq!(
            requests,
            fixture.network.look_ups(),
            "the requests that reached the server"
        );
    }
    Hour {
        minute: minute.expect("an hour has a first minute"),
        hour,
        back,
        said,
    }
}

/// Without what is another one in each run.
fn clean(said: &str, disk: Option<&Disk>) -> String {
    let mut said = said.to_owned();
    if let Some(disk) = disk {
        said = said.replace(&disk.0.display().to_string(), "/var/lib/app");
    }
    if let Some((before, id)) = said.split_once("[log id ") {
        let (_, after) = id.split_once(']').expect("its end");
        said = format!("{before}[log id …]{after}");
    }
    said
}
