//! The events of one virtual hour with an outage of twenty minutes. `docs/tokens.md` shows some of them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coze_auth_core::UnixTime;
use coze_auth_store::MemoryStore;
use coze_auth_tokens::{Event, EventKind};
use coze_auth_ureq::TokenSource;

use crate::caller::{Credential, SUBJECT, blocking};
use crate::fixture::Fixture;
use crate::outage::Outage;

const PAGE: &str = include_str!("../../../docs/tokens.md");
const SECOND: Duration = Duration::from_secs(1);

/// What an event said, with the number of its renewal in this hour.
struct Told {
    at: u64,
    renewal: u64,
    what: What,
    line: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    Begun,
    Stored,
    /// When the new token ends.
    Ended(Option<u64>),
    /// When the next try comes.
    Failed(u64),
}

#[derive(Default)]
struct Hour {
    told: Vec<Told>,
    /// The numbers of its renewals in this process, which has others.
    numbers: Vec<u64>,
}

impl Hour {
    fn note(&mut self, event: &Event<'_>, start: UnixTime) {
        let since = |moment: UnixTime| moment.as_secs() - start.as_secs();
        let clock = |secs: u64| format!("{:02}:{:02}", secs / 60, secs % 60);
        let number = event.renewal.expect("all of them belong to renewals");
        if !self.numbers.contains(&number) {
            self.numbers.push(number);
        }
        let known = self.numbers.iter().position(|known| *known == number);
        let renewal = known.expect("pushed") as u64 + 1;
        let at = since(event.at);
        let what = match &event.kind {
            EventKind::Begun => What::Begun,
            EventKind::Stored { .. } => What::Stored,
            EventKind::Done { expires_at, .. } | EventKind::Taken { expires_at, .. } => {
                What::Ended(Some(since(*expires_at)))
            }
            EventKind::Failed { next_try, .. } => {
                What::Failed(at + next_try.expect("a pause").as_secs())
            }
            other => panic!("{other:?}"),
        };
        // Why it failed is another page's.
        let text = event.kind.to_string();
        let (text, _) = text.split_once(": ").unwrap_or((&text, ""));
        let text = match text.split_once("ends at ") {
            Some((text, end)) => {
                let end = UnixTime::from_secs(end.parse().expect("a time"));
                format!("{text}ends at {}", clock(since(end)))
            }
            None => text.to_owned(),
        };
        let line = format!("{}  renewal {renewal}: {text}", clock(at));
        self.told.push(Told {
            at,
            renewal,
            what,
            line,
        });
    }

    fn count(&self, is_it: impl Fn(What) -> bool) -> usize {
        self.told.iter().filter(|told| is_it(told.what)).count()
    }

    fn runs(&self) -> bool {
        let ended = |what| matches!(what, What::Ended(_) | What::Failed(_));
        self.count(|what| what == What::Begun) > self.count(ended)
    }
}

#[test]
fn each_renewal_of_an_hour_with_an_outage_is_begun_and_ended_once() {
    let fixture = Fixture::new();
    let store = MemoryStore::new();
    let Credential::Login(app, store) = fixture.login(Arc::new(store)) else {
        panic!("it is a login");
    };
    let client = blocking(&fixture.settings());
    let start = fixture.clock.now().unix;
    let hour = Arc::new(Mutex::new(Hour::default()));
    let notes = hour.clone();
    let tokens = TokenSource::stored(&client, app, SUBJECT, store)
        .expect("a subject")
        .wait_when_stale()
        .observe(move |event| notes.lock().expect("nobody panics").note(event, start));
    let minutes = |count: u64| start.plus(Duration::from_secs(60 * count));
    let now = || fixture.clock.now().unix;
    let ask_until = |end: UnixTime| {
        let mut without = 0;
        while now() < end {
            without += u64::from(tokens.token().is_err());
            // An end is told after it is there for everybody.
            let begun = Instant::now();
            while hour.lock().expect("nobody panics").runs() {
                assert!(begun.elapsed() < Duration::from_secs(30), "it has no end");
                std::thread::yield_now();
            }
            fixture.clock.advance(SECOND);
        }
        without
    };
    assert_eq!(ask_until(minutes(10)), 0);
    let end = Outage::Refused.begin(&fixture, None);
    let without = ask_until(minutes(30));
    end();
    // From 15:00, when the token ends.
    assert_eq!(without, 15 * 60);
    ask_until(minutes(60));

    let told = &hour.lock().expect("nobody panics").told;
    let lines: Vec<&str> = told.iter().map(|told| told.line.as_str()).collect();
    let printed = format!("\n{}\n", lines.join("\n"));
    std::io::stdout()
        .write_all(printed.as_bytes())
        .expect("stdout");

    let mut renewals = BTreeMap::<u64, Vec<&Told>>::new();
    for told in told {
        renewals.entry(told.renewal).or_default().push(told);
    }
    let numbers: Vec<u64> = renewals.keys().copied().collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let all: Vec<&Vec<&Told>> = renewals.values().collect();
    for (renewal, next) in all.iter().zip(all.iter().skip(1).map(Some).chain([None])) {
        let whats: Vec<What> = renewal.iter().map(|told| told.what).collect();
        match whats[..] {
            [What::Begun, What::Failed(next_try)] => {
                assert_eq!(next_try, next.expect("it is not the last")[0].at);
            }
            // Renewed a minute before its end.
            [What::Begun, What::Ended(Some(end))]
            | [What::Begun, What::Stored, What::Ended(Some(end))] => {
                assert!(next.is_none_or(|next| next[0].at == end - 60), "{whats:?}");
            }
            _ => panic!("{whats:?}"),
        }
    }
    let began: Vec<u64> = told.iter().map(|told| told.at).collect();
    assert!(began.is_sorted(), "{began:?}");

    let (_, page) = PAGE
        .split_once("<!-- events -->\n\n```text\n")
        .expect("the excerpt");
    let (page, _) = page.split_once("```").expect("its end");
    assert!(page.lines().count() > 10, "the excerpt is too short");
    let mut rest = lines.iter();
    for line in page.lines().filter(|line| *line != "…") {
        assert!(
            rest.any(|told| *told == line),
            "docs/tokens.md shows, and none says, or not in this order: {line}"
        );
    }
}
