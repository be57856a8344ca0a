//! One process: a fresh token, and a renewal.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coze_auth_core::device::DeviceApp;
use coze_auth_core::{self as core, Endpoints, Now, SteadyTime, TokenGrant, UnixTime};
use coze_auth_redis::{RedisOptions, RedisStore};
use coze_auth_store::{FileStore, GrantKey, GrantStore};
use coze_auth_tokens::blocking::{Time, TokenSource, Transport};
use coze_auth_tokens::{SendError, TokenSource as Tokens};

use crate::redis::Redis;
use crate::{Row, beside, row};

const BEGAN: u64 = 1_750_000_000;
const LIFE: u64 = 900;
const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;
const RENEWALS: u32 = 60;
/// A renewal that takes half of a lease, which is extended at each third.
const LEASE: Duration = Duration::from_millis(1_200);
const LONG_RENEWALS: usize = 5;
/// What counts as no dearer, on a machine that does something else as well.
const SAME: f64 = 1.25;

/// What answers at once, so that the store is what is measured.
#[derive(Clone, Default)]
struct Coze(Arc<State>);

#[derive(Default)]
struct State {
    passed: AtomicU64,
    number: AtomicU64,
    /// How long an answer takes, in milliseconds of real time.
    takes: AtomicU64,
}

impl Coze {
    fn unix(&self) -> u64 {
        BEGAN + self.0.passed.load(Ordering::SeqCst)
    }

    fn json(&self, end: &str) -> String {
        let number = self.0.number.fetch_add(1, Ordering::SeqCst);
        let (now, ends) = (self.unix(), self.unix() + LIFE);
        format!(
            r#"{{"access_token":"access-{number:060}","refresh_token":"refresh-{number:060}","issued_at":{now},"{end}":{ends}}}"#
        )
    }
}

impl Transport for Coze {
    fn send(&self, _: core::Request) -> Result<core::Response, SendError> {
        match self.0.takes.load(Ordering::SeqCst) {
            0 => {}
            takes => std::thread::sleep(Duration::from_millis(takes)),
        }
        Ok(core::Response::new(
            self.json("expires_in").into_bytes().into(),
        ))
    }

    fn time(&self) -> &dyn Time {
        self
    }
}

impl Time for Coze {
    fn now(&self) -> Now {
        Now {
            unix: UnixTime::from_secs(self.unix()),
            steady: SteadyTime::from_duration(Duration::from_secs(self.unix() - BEGAN)),
        }
    }

    fn sleep(&self, pause: Duration) {
        self.0.passed.fetch_add(pause.as_secs(), Ordering::SeqCst);
    }
}

/// A login in this store, and its source.
fn source(coze: &Coze, store: impl GrantStore + 'static) -> TokenSource<Coze> {
    let app = DeviceApp::new(Endpoints::cn(), "1234.app.coze").expect("an app");
    let key = GrantKey::new(&app.clone().into(), "alice").expect("a key");
    let grant = TokenGrant::from_secret_json(&coze.json("expires_at")).expect("a grant");
    let held = store.lock(&key, Duration::from_secs(20));
    held.expect("nobody has it").save(&grant).expect("stored");
    Tokens::stored(coze, app, "alice", store).expect("a subject")
}

pub(crate) fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn fresh(source: &TokenSource<Coze>) -> Duration {
    let began = Instant::now();
    for _ in 0..CALLS {
        black_box(source.token().expect("a token"));
    }
    began.elapsed() / CALLS
}

fn renewals(coze: &Coze, source: &TokenSource<Coze>, number: u32) -> Duration {
    let began = Instant::now();
    for _ in 0..number {
        coze.0.passed.fetch_add(LIFE, Ordering::SeqCst);
        source.token().expect("a token");
    }
    began.elapsed() / number
}

/// A round trip: `GET` on a connection of its own.
fn get(socket: &mut TcpStream) -> Duration {
    const GETS: u32 = 500;
    let mut answer = [0; 64];
    let began = Instant::now();
    for _ in 0..GETS {
        socket.write_all(b"GET nothing\r\n").expect("sent");
        let length = socket.read(&mut answer).expect("an answer");
        assert_eq!(&answer[..length], b"$-1\r\n");
    }
    began.elapsed() / GETS
}

/// Commands from outside, so round trips: those that scripts call are not counted here.
fn processed(redis: &Redis) -> u64 {
    let info = redis.tell(&["INFO", "stats"]);
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("total_commands_processed:"));
    line.expect("a line").parse().expect("a number")
}

fn evals(redis: &Redis) -> u64 {
    calls(redis, "evalsha") + calls(redis, "eval")
}

/// How often the server was asked for this, also by scripts.
pub(crate) fn calls(redis: &Redis, name: &str) -> u64 {
    let info = redis.tell(&["INFO", "commandstats"]);
    let begins = format!("cmdstat_{name}:calls=");
    let line = info.lines().find_map(|line| line.strip_prefix(&begins));
    let count = line.and_then(|line| line.split(',').next());
    count.map_or(0, |count| count.parse().expect("a number"))
}

pub(crate) fn rows() -> Vec<Row> {
    let redis = Redis::start_durable(&[]);
    // Its own time for a write, without the disk's.
    redis.tell(&["CONFIG", "SET", "appendfsync", "everysec"]);
    let folder = redis.folder().join("grants");
    let (coze, other) = (Coze::default(), Coze::default());
    let file = source(&other, FileStore::new(folder).expect("a folder"));
    let store = RedisStore::new(&redis.url()).expect("a URL");
    let ours = source(&coze, store);
    let mut socket = TcpStream::connect(("127.0.0.1", redis.port())).expect("it listens");
    socket.set_nodelay(true).expect("a socket");
    renewals(&coze, &ours, 1);

    let before = processed(&redis);
    let rounds = (0..ROUNDS).map(|_| [fresh(&ours), fresh(&file), get(&mut socket)]);
    let rounds: Vec<[Duration; 3]> = rounds.collect();
    let asked = processed(&redis) - before;
    let [fresh_ours, fresh_file, round_trip] =
        [0, 1, 2].map(|at: usize| median(rounds.iter().map(|round| round[at]).collect()));
    // Those of `get`, and the one that asks.
    let of_fresh = asked.saturating_sub(ROUNDS as u64 * 500 + 1);

    let before = evals(&redis);
    let rounds = (0..5).map(|_| {
        [
            renewals(&coze, &ours, RENEWALS),
            renewals(&other, &file, RENEWALS),
        ]
    });
    let rounds: Vec<[Duration; 2]> = rounds.collect();
    let scripts = (evals(&redis) - before) as f64 / (5 * RENEWALS) as f64;
    let [renewal_ours, renewal_file] =
        [0, 1].map(|at: usize| median(rounds.iter().map(|round| round[at]).collect()));

    let slow = Coze::default();
    let half = LEASE.as_millis() as u64 / 2;
    let options = RedisOptions::from_url(&redis.url()).expect("a URL");
    let options = options.lease(LEASE).prefix("slow:").expect("a prefix");
    let extending = source(&slow, RedisStore::with(options).expect("options"));
    renewals(&slow, &extending, 1);
    slow.0.takes.store(half, Ordering::SeqCst);
    let each = (0..LONG_RENEWALS).map(|_| {
        let before = evals(&redis);
        renewals(&slow, &extending, 1);
        evals(&redis) - before
    });
    let mut each: Vec<u64> = each.collect();
    // On a busy machine one of them may last until it is extended again.
    each.sort_unstable();
    let extended = each[each.len() / 2];
    let ratio = fresh_ours.as_secs_f64() / fresh_file.as_secs_f64();
    let micros = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
    let nanos = |time: Duration| format!("{} ns", time.as_nanos());
    vec![
        beside("beside: a GET on one connection", micros(round_trip)),
        beside("beside: a fresh token, file store", nanos(fresh_file)),
        row(
            "a fresh token",
            nanos(fresh_ours),
            "no dearer than with files (1.25 ×)",
            ratio <= SAME,
        ),
        row(
            "  round trips of all of them",
            of_fresh.to_string(),
            "0",
            of_fresh == 0,
        ),
        beside(
            "beside: a renewal, file store, synced to the disk",
            micros(renewal_file),
        ),
        beside(
            "a renewal, without the token request and without a sync",
            micros(renewal_ours),
        ),
        row(
            "  round trips",
            format!("{scripts:.2}"),
            "2",
            scripts <= 2.0,
        ),
        row(
            "  round trips of one for which the lease is extended once",
            extended.to_string(),
            "3",
            extended == 3,
        ),
    ]
}
