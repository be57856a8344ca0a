//! Redis is away.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::device::DeviceApp;
use coze_auth_core::{Endpoints, TokenGrant};
use coze_auth_redis::{RedisOptions, RedisStore};
use coze_auth_store::{GrantKey, GrantStore as _};
use coze_auth_tokens::system_now;
use coze_auth_ureq::{Client, TokenSource};

use crate::dice::Dice;
use crate::redis::Redis;
use crate::{Row, beside, row};

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(1);
const PROCESSES: usize = 20;
const AWAY: Duration = Duration::from_secs(3);
/// Who comes within so short a time comes in step.
const WINDOW: Duration = Duration::from_millis(20);

fn options(url: &str) -> RedisOptions {
    let options = RedisOptions::from_url(url).expect("a URL");
    options.connect_within(CONNECT).answer_within(ANSWER)
}

fn app() -> DeviceApp {
    DeviceApp::new(Endpoints::cn(), "1234.app.coze").expect("an app")
}

fn key() -> GrantKey {
    GrantKey::new(&app().into(), "alice").expect("a key")
}

pub(crate) fn rows() -> Vec<Row> {
    let mut redis = Redis::start_durable(&[]);
    let url = redis.url();
    let store = RedisStore::with(options(&url)).expect("options");
    let now = system_now().unix.as_secs();
    let grant = format!(
        r#"{{"access_token":"a","refresh_token":"r","issued_at":{now},"expires_at":{}}}"#,
        now + 900
    );
    let grant = TokenGrant::from_secret_json(&grant).expect("a grant");
    let held = store.lock(&key(), ANSWER).expect("nobody has it");
    { held }.save(&grant).expect("stored");
    let client = Client::new().expect("a client");
    let source = |store| TokenSource::stored(&client, app(), "alice", store).expect("a subject");
    let warm = source(store);
    warm.token().expect("a token");
    redis.kill();
    let timed = |tokens: &TokenSource| {
        let began = Instant::now();
        (tokens.token().is_ok(), began.elapsed())
    };
    let (served, took) = timed(&warm);
    let cold = source(RedisStore::with(options(&url)).expect("options"));
    let (given, limit) = timed(&cold);
    let came = come_back();
    let (most, last) = (in_step(&came), came[came.len() - 1]);
    let chance = by_chance(last);
    vec![
        row(
            "Redis is away: a call with a valid token",
            format!("{:.3} ms", took.as_secs_f64() * 1e3),
            "waits for nothing (1 ms)",
            served && took < Duration::from_millis(1),
        ),
        row(
            "Redis is away: a call without one has its error after",
            format!("{:.2} s", limit.as_secs_f64()),
            "its own limits (2 s and 1 s)",
            !given && limit < CONNECT + ANSWER + Duration::from_millis(200),
        ),
        row(
            "Redis is back after 3 s: 20 processes that wait for it are back after",
            format!("{:.2} s", last.as_secs_f64()),
            "the longest pause (1 s)",
            last < CONNECT / 2 + Duration::from_millis(200),
        ),
        beside(
            "  beside: most in 20 ms, of 20 at random moments of that time",
            chance.to_string(),
        ),
        row(
            "  most of them that come within 20 ms of each other",
            most.to_string(),
            "at most twice that",
            most <= 2 * chance,
        ),
    ]
}

/// When twenty stores that all wait for a Redis that is away are back, from when it is.
fn come_back() -> Vec<Duration> {
    let mut redis = Redis::start_durable(&[]);
    let url = redis.url();
    let stores: Vec<RedisStore> = (0..PROCESSES)
        .map(|_| RedisStore::with(options(&url)).expect("options"))
        .collect();
    for store in &stores {
        store.load(&key()).expect("it is there");
    }
    redis.kill();
    let back = Barrier::new(PROCESSES + 1);
    let mut came = thread::scope(|scope| {
        let all: Vec<_> = stores
            .iter()
            .map(|store| {
                scope.spawn(|| {
                    back.wait();
                    while store.load(&key()).is_err() {}
                    Instant::now()
                })
            })
            .collect();
        back.wait();
        thread::sleep(AWAY);
        redis.restart();
        let began = Instant::now();
        let came = all.into_iter().map(|one| one.join().expect("a store"));
        came.map(|at| at.saturating_duration_since(began))
            .collect::<Vec<_>>()
    });
    came.sort();
    came
}

/// How many of these come in one window, at most.
fn in_step(came: &[Duration]) -> usize {
    let of = |at: usize| {
        let in_window = came[at..]
            .iter()
            .take_while(|one| **one < came[at] + WINDOW);
        in_window.count()
    };
    (0..came.len()).map(of).max().unwrap_or_default()
}

/// What `in_step` gives for as many that come at random within this time: the median of many draws.
fn by_chance(within: Duration) -> usize {
    let mut dice = Dice::new(19);
    let mut draws: Vec<usize> = (0..1_001)
        .map(|_| {
            let mut came: Vec<Duration> = (0..PROCESSES)
                .map(|_| within.mul_f64(dice.fraction()))
                .collect();
            came.sort();
            in_step(&came)
        })
        .collect();
    draws.sort_unstable();
    draws[draws.len() / 2]
}
