//! Redis is away.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::device::DeviceApp;
use coze_auth_core::{Endpoints, TokenGrant};
use coze_auth_redis::{RedisOptions, RedisStore};
use coze_auth_store::{GrantKey, GrantStore as _};
use coze_auth_tokens::system_now;
use coze_auth_ureq::{Client, TokenSource};

use crate::redis::Redis;
use crate::{Row, row};

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(1);
const PROCESSES: usize = 20;
/// In step: so many of them in a window so short.
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
    let most = most_in_step();
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
            "  of 20 processes, most that come back within 20 ms of each other",
            most.to_string(),
            "at most 10",
            most <= PROCESSES / 2,
        ),
    ]
}

/// Twenty stores that are cut off at once come back to a server that takes connections and says nothing else: how many in one window, at most,
/// once each has failed.
fn most_in_step() -> usize {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            // It is closed at once, as by a proxy without a server behind it.
            drop(socket);
            if tell.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    let url = format!("redis://127.0.0.1:{port}/");
    thread::scope(|scope| {
        for _ in 0..PROCESSES {
            scope.spawn(|| {
                let store = RedisStore::with(options(&url)).expect("options");
                store.load(&key()).expect_err("there is no Redis")
            });
        }
    });
    let mut came: Vec<Instant> = told.try_iter().collect();
    came.sort();
    // Their first tries are of the same moment, since it is the test that begins them; what follows is by their own pauses.
    let apart = came[0] + Duration::from_millis(500);
    let later = &came[came.partition_point(|at| *at < apart)..];
    let in_window = |begins: &Instant| {
        let in_it = |other: &&Instant| **other >= *begins && **other < *begins + WINDOW;
        later.iter().filter(in_it).count()
    };
    later.iter().map(in_window).max().expect("they come back")
}
