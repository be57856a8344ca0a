//! A thousand users whose tokens end at once, over eight processes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coze_auth_conformance::SharedClock;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{Endpoints, Entropy, RefreshToken};
use coze_auth_mock::{AppKind, CozeAuthMock};
use coze_auth_redis::{RedisOptions, RedisStore};
use coze_auth_reqwest::Client;
use coze_auth_store::{GrantKey, GrantStore as _};
use coze_auth_tokens::tokio::Logins;
use tokio::sync::Semaphore;

use crate::clocks::{AsyncClock, BlockingClock};
use crate::redis::Redis;
use crate::single::{calls, median};
use crate::{Row, beside, row, title};

pub(crate) const WORKER: &str = "COZE_AUTH_BENCH_WORKER";
const BASE: &str = "COZE_AUTH_BENCH_BASE";
const APP: &str = "COZE_AUTH_BENCH_APP";
const REDIS: &str = "COZE_AUTH_BENCH_REDIS";
const PROCESSES: usize = 8;
const USERS: usize = 1_000;
const LIFE: Duration = Duration::from_secs(900);
/// Requests and renewals of a process at once: as many as a source has unless it is told. This variable sets another number.
const AT_ONCE: usize = 64;
const OTHER_AT_ONCE: &str = "COZE_AUTH_BENCH_AT_ONCE";
const LEAST: f64 = 0.5;
/// How often each figure is taken; the median counts.
const ROUNDS: usize = 5;

fn subject(user: usize) -> String {
    format!("user-{user}")
}

fn app() -> PkceApp {
    let var = |name: &str| std::env::var(name).expect("set by the parent");
    let endpoints = Endpoints::custom(&var(BASE)).expect("loopback http is allowed");
    PkceApp::new(endpoints, var(APP)).expect("an app")
}

/// Does what each line asks for, and says when it is done.
pub(crate) fn work() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let clock = SharedClock::new();
    let make = || reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let client = Client::with_builder(make).expect("a client");
    let client = client.with_time(AsyncClock(clock.clone()));
    let url = std::env::var(REDIS).expect("set by the parent");
    // A thousand who wait are no reason to give one up.
    let patience = Duration::from_secs(60);
    let options = RedisOptions::from_url(&url).expect("a URL");
    let options = options.connect_within(patience).answer_within(patience);
    let store = RedisStore::with(options).expect("options");
    let logins = Logins::new_async(&client, app(), store).kept(USERS * 2);
    let at_once = at_once();
    let logins = logins.renewals_at_once(at_once);
    let mut bare: Vec<RefreshToken> = Vec::new();
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("UTF-8");
        let words: Vec<&str> = line.split(' ').collect();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            match words[..] {
                // These users' tokens, by the store.
                ["tokens", unix, first, after] => {
                    let unix = Duration::from_secs(unix.parse().expect("a time"));
                    clock.advance(unix.saturating_sub(clock.handle().unix()));
                    let [first, after] =
                        [first, after].map(|user| user.parse::<usize>().expect("a number"));
                    for user in first..after {
                        let tokens = logins.of(&subject(user)).expect("a subject");
                        tasks.spawn(async move {
                            drop(tokens.token().await.expect("a token"));
                            None
                        });
                    }
                }
                // What the bare requests begin with.
                ["bare", ref tokens @ ..] => {
                    let token = |token: &&str| RefreshToken::new((*token).to_owned());
                    let all: Result<_, _> = tokens.iter().map(token).collect();
                    bare = all.expect("tokens");
                }
                // The bare requests, each with what the one before has brought.
                ["refresh"] => {
                    let free = Arc::new(Semaphore::new(at_once));
                    for token in bare.drain(..) {
                        let (client, app, free) = (client.clone(), app(), free.clone());
                        tasks.spawn(async move {
                            let _turn = free.acquire().await.expect("it is open");
                            let grant = client.run(app.refresh(&token)).await.expect("a grant");
                            grant.refresh_token
                        });
                    }
                }
                _ => panic!("{line}"),
            }
            while let Some(done) = tasks.join_next().await {
                bare.extend(done.expect("a task"));
            }
        });
        println!("done");
    }
}

struct Worker {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Worker {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .env(WORKER, "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let says = BufReader::new(child.stdout.take().expect("piped"));
        let mut worker = Self { child, says };
        worker.hear("ready");
        worker
    }

    fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        let line = format!("{line}\n");
        stdin.write_all(line.as_bytes()).expect("it listens");
    }

    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it speaks");
        assert_eq!(line.trim_end(), word);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of them do what their line says.
fn all(workers: &mut [Worker], lines: &[String]) -> Duration {
    let began = Instant::now();
    for (worker, line) in workers.iter_mut().zip(lines) {
        worker.tell(line);
    }
    for worker in workers {
        worker.hear("done");
    }
    began.elapsed()
}

pub(crate) fn rows() -> Vec<Row> {
    let redis = Redis::start_durable(&[]);
    let clock = SharedClock::new();
    let mock = CozeAuthMock::builder()
        .seed(1)
        .clock(clock.handle())
        .journal_capacity(100_000)
        .start_blocking()
        .expect("a free port on 127.0.0.1");
    let url = redis.url();
    let client_id = mock.app(AppKind::Pkce).expect("a ready-made app");
    let client_id = client_id.client_id().to_owned();
    let endpoints = Endpoints::custom(mock.base_url()).expect("loopback http is allowed");
    let app = PkceApp::new(endpoints, &client_id).expect("an app");
    let client = coze_auth_ureq::Client::new().expect("a client");
    let client = client.with_time(BlockingClock(clock.clone()));
    let mut logins = 0_u64;
    let mut login = || {
        logins += 1;
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&logins.to_be_bytes());
        let redirect = RedirectUri::new("http://localhost:8080/cb?from=coze").expect("a URL");
        let (url, pending) = app
            .authorize(&redirect, Entropy::from_bytes(bytes))
            .expect("a URL");
        let back = mock.authorize(url.as_str(), true).expect("a callback");
        let callback = Callback::parse(&back).expect("a callback");
        let exchange = app.exchange(pending, &callback).expect("our state");
        client.run(exchange).expect("a grant")
    };
    let store = RedisStore::new(&url).expect("a URL");
    for user in 0..USERS {
        let key = GrantKey::new(&app.clone().into(), subject(user)).expect("a key");
        let held = store.lock(&key, Duration::from_secs(20));
        held.expect("nobody has it").save(&login()).expect("stored");
    }
    let bare: Vec<String> = (0..USERS)
        .map(|_| login().refresh_token.expect("one").expose().to_owned())
        .collect();
    let variables = [
        (BASE, mock.base_url()),
        (APP, client_id.as_str()),
        (REDIS, url.as_str()),
    ];
    let mut workers: Vec<Worker> = (0..PROCESSES).map(|_| Worker::start(&variables)).collect();
    let refreshes = || {
        let requests = mock.requests();
        let all = requests
            .iter()
            .filter(|entry| entry.grant == Some("refresh_token"));
        all.count()
    };
    let share = USERS / PROCESSES;
    let ranges = (0..PROCESSES).map(|place| (place * share, (place + 1) * share));
    let lines: Vec<String> = ranges
        .clone()
        .map(|(first, after)| format!("bare {}", bare[first..after].join(" ")))
        .collect();
    all(&mut workers, &lines);
    let without = |workers: &mut [Worker]| {
        let lines = vec!["refresh".to_owned(); PROCESSES];
        all(workers, &lines)
    };
    let tick = |workers: &mut [Worker], apart: bool| {
        clock.advance(LIFE);
        let unix = clock.now().unix.as_secs();
        let lines: Vec<String> = ranges
            .clone()
            .map(|(first, after)| match apart {
                true => format!("tokens {unix} {first} {after}"),
                false => format!("tokens {unix} 0 {USERS}"),
            })
            .collect();
        let before = refreshes();
        let took = all(workers, &lines);
        (took, refreshes() - before)
    };
    // Each connects, and each source reads its grant for the first time.
    without(&mut workers);
    tick(&mut workers, true);
    let throughput = |took: Duration| USERS as f64 / took.as_secs_f64();
    // In turn, since a machine does something else as well.
    let mut measure = |synced: &str, apart: bool| {
        assert_eq!(redis.tell(&["CONFIG", "SET", "appendfsync", synced]), "OK");
        let before = calls(&redis, "publish");
        let rounds = (0..ROUNDS).map(|_| (without(&mut workers), tick(&mut workers, apart)));
        let rounds: Vec<(Duration, (Duration, usize))> = rounds.collect();
        let bare = throughput(median(rounds.iter().map(|round| round.0).collect()));
        let ours = throughput(median(rounds.iter().map(|round| round.1.0).collect()));
        let all_once = rounds.iter().all(|round| round.1.1 == USERS);
        let each: Vec<String> = rounds.iter().map(|round| round.1.1.to_string()).collect();
        let each = match all_once {
            true => USERS.to_string(),
            false => each.join(" "),
        };
        let renewals = row("    renewals, each time", each, "1000", all_once);
        // Each lease that ends is told to who waits.
        let leases = (calls(&redis, "publish") - before) as usize / ROUNDS;
        (bare, ours, renewals, leases.saturating_sub(USERS))
    };
    let at_once = at_once();
    let mut rows = vec![title(&format!(
        "1,000 users' tokens end at once, over {PROCESSES} processes of {at_once} renewals at once:"
    ))];
    for (what, synced, apart) in [
        (
            "each user in one process, appendfsync always",
            "always",
            true,
        ),
        ("the same, appendfsync everysec", "everysec", true),
        ("the same, appendfsync no", "no", true),
        (
            "each user in all processes, appendfsync always",
            "always",
            false,
        ),
        ("the same, appendfsync no", "no", false),
    ] {
        let (bare, ours, renewals, in_vain) = measure(synced, apart);
        let ratio = ours / bare;
        let what = format!("  {what}");
        let figure = format!("{ours:.0}/s = {ratio:.2} ×");
        rows.push(match (synced, apart) {
            ("always", true) => row(&what, figure, "at least 0.50 ×", ratio >= LEAST),
            // Without the disk: what the store itself costs. In all: 8,000 tokens for 1,000 renewals, so what it costs to wait for others.
            _ => beside(&what, figure),
        });
        rows.push(beside(
            "    beside: as many bare token requests, without a store",
            format!("{bare:.0}/s"),
        ));
        rows.push(renewals);
        if !apart {
            rows.push(beside(
                "    leases taken by one who finds that another has renewed",
                in_vain.to_string(),
            ));
        }
    }
    rows.push(beside(
        "  beside: this disk syncs a write of 300 bytes in",
        format!("{:.2} ms", sync(redis.folder()).as_secs_f64() * 1e3),
    ));
    rows.push(title(
        "  (64 is a source's default. With `always` an answer waits until the disk has it, once for all writes that a turn of Redis' loop brings.)",
    ));
    rows
}

/// How many requests or renewals a process has under way.
fn at_once() -> usize {
    let other = std::env::var(OTHER_AT_ONCE);
    other.map_or(AT_ONCE, |number| number.parse().expect("a number"))
}

/// How long this disk takes to have a write for good: the median.
fn sync(folder: &Path) -> Duration {
    let mut file = File::create(folder.join("synced")).expect("a file");
    let all = (0..51).map(|_| {
        file.write_all(&[b'x'; 300]).expect("written");
        let began = Instant::now();
        file.sync_data().expect("synced");
        began.elapsed()
    });
    median(all.collect())
}
