//! What a token costs that is fresh already, alone and among others, and that nobody waits for a lock to get it.
//!
//! Everything is measured in rounds that take turns, and told as the median of them. `just bench` prints each
//! figure with its goal.

#![allow(missing_docs)]

mod locks;
mod threads;

use std::hint::black_box;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use coze_auth_core::web::WebApp;
use coze_auth_core::{AccessToken, ClientSecret, Endpoints, TokenGrant, UnixTime};
use coze_auth_store::MemoryStore;
use coze_auth_tokens::system_now;

use crate::threads::{Cost, together};

const ROUNDS: usize = 21;
/// How long one thread works in a round.
const ROUND: Duration = Duration::from_millis(8);
/// More than most machines have cores, so that some sleep while they hold what others want.
const MANY: usize = 16;
/// What counts as flat: what many pay for a call, by what one pays.
const FLAT: f64 = 1.25;

/// What nothing is shared in, and up to what its ratio the cores count as ours alone.
const FLOOR: &str = "floor: ";
const QUIET: f64 = 1.1;

/// What waits for a lock now and then, or the lock proof proves nothing.
const MUTEX: &str = "beside: a token cloned under a Mutex";

/// Something that is called over and over, in a loop of its own so that no virtual call is measured with it.
struct Subject {
    name: &'static str,
    ours: bool,
    calls: Box<dyn Fn(u32) + Sync>,
}

fn subject(name: &'static str, ours: bool, call: impl Fn() + Sync + 'static) -> Subject {
    Subject {
        name,
        ours,
        calls: Box::new(move |count| (0..count).for_each(|_| call())),
    }
}

fn text() -> String {
    format!("czu_{:064}", 7)
}

fn token() -> AccessToken {
    AccessToken::new(text()).expect("a token")
}

fn web() -> WebApp {
    let secret = ClientSecret::new("web-secret").expect("a secret");
    WebApp::new(Endpoints::cn(), "1234.app.coze", secret).expect("an app")
}

/// Fresh for as long as anybody benches.
fn grant() -> TokenGrant {
    let now = UnixTime::from(SystemTime::now()).as_secs();
    let json = format!(
        r#"{{"access_token":"{}","refresh_token":"refresh","issued_at":{now},"expires_at":{}}}"#,
        text(),
        now + 1_000_000
    );
    TokenGrant::from_secret_json(&json).expect("a grant")
}

/// The fresh path is ready at its first poll, so no runtime is measured with it.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the fresh path waits"),
    }
}

fn blocking(name: &'static str, source: coze_auth_ureq::TokenSource) -> Subject {
    subject(name, true, move || {
        drop(black_box(source.token()).expect("a token"));
    })
}

fn asynchronous(name: &'static str, source: coze_auth_reqwest::TokenSource) -> Subject {
    subject(name, true, move || {
        drop(black_box(at_once(source.token())).expect("a token"));
    })
}

fn subjects() -> Vec<Subject> {
    let ureq = coze_auth_ureq::Client::new().expect("a client");
    let reqwest = coze_auth_reqwest::Client::new().expect("a client");
    let cn = Endpoints::cn();

    let login = coze_auth_ureq::TokenSource::stored(&ureq, web(), "alice", MemoryStore::new())
        .expect("a source");
    login.install(grant()).expect("it is stored");
    let fixed = coze_auth_ureq::TokenSource::fixed(&ureq, &cn, token());

    let async_login =
        coze_auth_reqwest::TokenSource::stored(&reqwest, web(), "alice", MemoryStore::new())
            .expect("a source");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(async_login.install(grant()))
        .expect("it is stored");
    let async_fixed = coze_auth_reqwest::TokenSource::fixed(&reqwest, &cn, token());

    let (locked, counted) = (Mutex::new(token()), token());
    vec![
        blocking("blocking, a login's token", login),
        blocking("blocking, a fixed token", fixed),
        asynchronous("async, a login's token", async_login),
        asynchronous("async, a fixed token", async_fixed),
        subject(MUTEX, false, move || {
            let token = locked.lock().unwrap_or_else(PoisonError::into_inner);
            let clone = token.clone();
            drop(token);
            drop(black_box(clone));
        }),
        subject(
            "beside: a token cloned, one count for all",
            false,
            move || {
                drop(black_box(black_box(&counted).clone()));
            },
        ),
        subject("floor: both clocks read", false, || {
            black_box(system_now());
        }),
        subject("floor: the calendar read", false, || {
            black_box(UnixTime::from(SystemTime::now()));
        }),
    ]
}

/// How many calls fill a round; warms up on the way.
fn calls_in_a_round(subject: &Subject) -> u32 {
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        (subject.calls)(1_000);
        calls += 1_000;
    }
    calls
}

/// 1, 2, 4 … and the number of cores.
fn up_to_the_cores() -> Vec<usize> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let doubled = std::iter::successors(Some(1), |count| Some(count * 2));
    doubled
        .take_while(|count| *count < cores)
        .chain([cores])
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How often the one is the other, as the median of the rounds.
fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(ours.iter().zip(theirs).map(|(a, b)| a / b).collect())
}

fn verdict(subject: &Subject, ratio: f64, quiet: bool) -> &'static str {
    match subject.ours {
        false => "",
        true if ratio.is_nan() => "unknown",
        true if ratio <= FLAT => "met",
        true if !quiet => "busy",
        true => "NOT MET",
    }
}

fn main() {
    let subjects = subjects();
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == locks::PHASE)
    {
        let name = &arguments[at + 1];
        let subject = subjects.iter().find(|subject| subject.name == name);
        return locks::phase(&*subject.expect("a subject").calls);
    }

    let mut counts = up_to_the_cores();
    let cores = counts.len();
    counts.push(MANY);
    let calls: Vec<u32> = subjects.iter().map(calls_in_a_round).collect();
    // Of each subject, of each number of threads: the rounds.
    let mut costs = vec![vec![Vec::<Cost>::new(); counts.len()]; subjects.len()];
    for _ in 0..ROUNDS {
        for (at, subject) in subjects.iter().enumerate() {
            for (column, threads) in counts.iter().enumerate() {
                costs[at][column].push(together(*threads, calls[at], &*subject.calls));
            }
        }
    }

    let threads: Vec<String> = counts[..cores].iter().map(|n| format!("{n:>6}")).collect();
    let most = counts[cores - 1];
    println!(
        "A fresh token. ns a call: elapsed, at so many threads (the cores: {most}); CPU time, at 1 and at {MANY} threads."
    );
    println!(
        "{:<42} {}  {:>14}  |  CPU {:>6} {MANY:>6}  {:>14}   goal of both ratios, ours",
        "",
        threads.join(" "),
        format!("{most}/1"),
        1,
        format!("{MANY}/1")
    );
    let elapsed_of = |costs: &Vec<Vec<Cost>>| {
        let wall = |column: usize| costs[column].iter().map(|cost| cost.wall).collect();
        let (one, all): (Vec<f64>, Vec<f64>) = (wall(0), wall(cores - 1));
        ratio(&all, &one)
    };
    // Reading clocks shares nothing: where that is not flat, others are at the cores.
    let floors = subjects.iter().zip(&costs);
    let mut floors = floors.filter(|(subject, _)| subject.name.starts_with(FLOOR));
    let quiet = floors.all(|(_, costs)| elapsed_of(costs) <= QUIET);
    let mut met = true;
    for (subject, costs) in subjects.iter().zip(&costs) {
        let wall = |column: usize| costs[column].iter().map(|cost: &Cost| cost.wall).collect();
        let cpu = |column: usize| costs[column].iter().map(|cost: &Cost| cost.cpu).collect();
        let walls: Vec<String> = (0..cores)
            .map(|column| format!("{:>6.1}", median(wall(column))))
            .collect();
        let elapsed = elapsed_of(costs);
        let (cpu_one, cpu_many): (Vec<f64>, Vec<f64>) = (cpu(0), cpu(cores));
        let cpu = ratio(&cpu_many, &cpu_one);
        met &= !subject.ours || ((elapsed <= FLAT || !quiet) && cpu <= FLAT);
        println!(
            "{:<42} {}  {elapsed:>6.2} {:>7}  |      {:>6.1} {:>6.1}  {cpu:>6.2} {:>7}   {}",
            subject.name,
            walls.join(" "),
            verdict(subject, elapsed, quiet),
            median(cpu_one),
            median(cpu_many),
            verdict(subject, cpu, true),
            if subject.ours {
                format!("≤ {FLAT}")
            } else {
                String::new()
            },
        );
    }
    if !quiet {
        println!("Busy: others were at the cores, so elapsed time says nothing. CPU time does.");
    }
    if !met {
        println!("A goal is not met.");
    }
    locks::prove(&subjects);
}
