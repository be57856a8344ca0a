//! The lives of a token in a fleet, and what strikes it in each.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use coze_auth_conformance::SharedClock;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::config::Environment;
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{Entropy, Region};
use coze_auth_mock::{AppKind, At, CozeAuthMock, Gate, JournalEntry, On, fingerprint};
use coze_auth_redis::RedisStore;

use crate::clocks::BlockingClock;
use crate::dice::Dice;
use crate::process::{Process, Word};
use crate::redis::{DURABLE, Redis};
use crate::worker::{self, Fault, Kind, SUBJECT, micros};

pub(crate) const PROCESSES: usize = 20;
/// How long a token lives: at each tick the one before has ended.
pub(crate) const LIFE: Duration = Duration::from_secs(900);
/// By the server's own clock, so shorter than in an application: a fleet waits this long for what a dead process held.
const LEASE: Duration = Duration::from_secs(3);
/// How long another process is waited for. None that is well takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long Redis is away.
const AWAY: [f64; 2] = [0.02, 0.4];

/// Which Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Engine {
    /// With an append-only file, which has a write before it is answered.
    Durable,
    /// With the settings of Debian's package: a snapshot after an hour at the latest.
    Debian,
}

impl Engine {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &DURABLE,
            Self::Debian => &["save 3600 1 300 100 60 10000"],
        }
    }
}

pub(crate) struct Plan {
    pub(crate) engine: Engine,
    pub(crate) lives: u32,
    pub(crate) seed: u64,
    pub(crate) fault: Option<Fault>,
}

/// What strikes in one life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Strike {
    Nothing,
    /// `kill -9` of any process, at any moment.
    Process,
    /// Of the one that renews, while its answer is held: the endpoint has acted.
    Holder,
    /// Of the one that renews, somewhere after its answer.
    HolderLater,
    /// Of Redis, at any moment.
    Redis,
    /// Of Redis, while the answer of the endpoint is held: the save finds it gone.
    RedisBeforeSave,
    /// Of both, as when a machine goes.
    Both,
    /// Of all, as when the power goes.
    All,
}

impl Strike {
    fn of(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..48 => Self::Nothing,
            48..63 => Self::Process,
            63..67 => Self::Holder,
            67..73 => Self::HolderLater,
            73..83 => Self::Redis,
            83..90 => Self::RedisBeforeSave,
            90..96 => Self::Both,
            _ => Self::All,
        }
    }
}

/// A process was given a token.
pub(crate) struct Given {
    pub(crate) by: String,
    pub(crate) life: u32,
    pub(crate) kind: Kind,
    pub(crate) print: String,
    pub(crate) ended: u64,
}

/// A call failed.
pub(crate) struct Failed {
    pub(crate) by: String,
    pub(crate) life: u32,
    pub(crate) kind: Kind,
    /// What failed: the call, or the try before it whose failure it was told.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) needs_login: bool,
    pub(crate) text: String,
}

/// A process was killed.
pub(crate) struct Killed {
    pub(crate) name: String,
    pub(crate) life: u32,
}

/// What happened, told by all sides.
pub(crate) struct Log {
    pub(crate) lives: u32,
    pub(crate) given: Vec<Given>,
    pub(crate) failed: Vec<Failed>,
    pub(crate) killed: Vec<Killed>,
    /// When Redis was away.
    pub(crate) away: Vec<(u64, u64)>,
    /// The access token of each login, and when it was there: the first, and those that a loss has cost.
    pub(crate) logins: Vec<(u32, String, u64)>,
    /// The mock's journal, and the first request of each life, from life 1.
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) begins: Vec<u64>,
    /// What struck in each life.
    pub(crate) strikes: Vec<Strike>,
    pub(crate) took: Duration,
}

pub(crate) struct Fleet {
    pub(crate) mock: CozeAuthMock,
    clock: SharedClock,
    redis: Redis,
    store: RedisStore,
    app: PkceApp,
    variables: Vec<(&'static str, String)>,
    pub(crate) processes: Vec<Process>,
    starts: u32,
    words: Receiver<Word>,
    tell: Sender<Word>,
    dice: Dice,
    life: u32,
    log: Log,
    /// How long a life takes on this machine.
    cycle: Duration,
}

/// Lives through it all.
pub(crate) fn live(plan: &Plan) -> Log {
    let began = Instant::now();
    let mut fleet = Fleet::new(plan, PROCESSES, LEASE);
    for _ in 0..plan.lives {
        let strike = Strike::of(&mut fleet.dice);
        fleet.live_once(strike);
    }
    fleet.log.journal = fleet.mock.requests();
    fleet.log.took = began.elapsed();
    let Fleet { log, processes, .. } = fleet;
    drop(processes);
    log
}

impl Fleet {
    pub(crate) fn new(plan: &Plan, processes: usize, lease: Duration) -> Self {
        let clock = SharedClock::new();
        let mock = CozeAuthMock::builder()
            .seed(1)
            .clock(clock.handle())
            .journal_capacity(100_000)
            .start_blocking()
            .expect("a free port on 127.0.0.1");
        let app = Environment::new(Region::Cn, |name| mock.variable(name)).pkce_app();
        let app = app.expect("a ready-made app");
        let redis = Redis::start(plan.engine.settings());
        let jwt = mock.app(AppKind::Jwt).expect("a ready-made app");
        let mut variables = vec![
            (worker::BASE, mock.base_url().to_owned()),
            (worker::LOGIN_APP, app.client_id().to_owned()),
            (worker::JWT_APP, jwt.client_id().to_owned()),
            (worker::KEY_ID, jwt.key_id().expect("an id").to_owned()),
            (worker::KEY, jwt.private_key().expect("a key").to_owned()),
            (worker::REDIS, redis.url()),
            (worker::LEASE_MS, lease.as_millis().to_string()),
        ];
        if let Some(fault) = plan.fault {
            variables.push((worker::FAULT, format!("{fault:?}").to_lowercase()));
        }
        let (tell, words) = channel();
        let mut fleet = Self {
            store: worker::store(&redis.url(), lease),
            mock,
            clock,
            redis,
            app,
            variables,
            processes: Vec::new(),
            starts: 0,
            words,
            tell,
            dice: Dice::new(plan.seed),
            life: 0,
            log: Log {
                lives: plan.lives,
                given: Vec::new(),
                failed: Vec::new(),
                killed: Vec::new(),
                away: Vec::new(),
                logins: Vec::new(),
                journal: Vec::new(),
                begins: Vec::new(),
                strikes: Vec::new(),
                took: Duration::ZERO,
            },
            cycle: Duration::from_millis(200),
        };
        fleet.log_in();
        for place in 0..processes {
            let process = fleet.start(place);
            fleet.processes.push(process);
        }
        fleet.hear_until(|fleet| fleet.processes.iter().all(|process| process.is_ready));
        fleet
    }

    fn start(&mut self, place: usize) -> Process {
        self.starts += 1;
        let adapter = ["reqwest", "ureq"][place % 2];
        let name = format!("{place}.{}", self.starts);
        Process::start(name, &self.variables, adapter, self.tell.clone())
    }

    /// A person logs in, and the grant goes to where all find it.
    fn log_in(&mut self) {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&(self.log.logins.len() as u64 + 1).to_be_bytes());
        let redirect = RedirectUri::new("http://localhost:8080/cb?from=coze").expect("a URL");
        let (url, pending) = self
            .app
            .authorize(&redirect, Entropy::from_bytes(bytes))
            .expect("a URL");
        let back = self.mock.authorize(url.as_str(), true);
        let back = back.unwrap_or_else(|refused| panic!("{refused}"));
        let callback = Callback::parse(&back).expect("a callback");
        let exchange = self.app.exchange(pending, &callback).expect("our state");
        let client = coze_auth_ureq::Client::new().expect("a client");
        let client = client.with_time(BlockingClock(self.clock.clone()));
        let grant = client.run(exchange).expect("a grant");
        let print = fingerprint(grant.access_token.expose());
        let source = coze_auth_ureq::TokenSource::stored(
            &client,
            self.app.clone(),
            SUBJECT,
            self.store.clone(),
        );
        let source = source.expect("a subject");
        source.install(grant).expect("stored");
        self.log.logins.push((self.life, print, micros()));
    }

    /// The tokens of the life before have ended.
    pub(crate) fn begin_life(&mut self) {
        self.life += 1;
        let last = self.mock.requests().last().map_or(0, |entry| entry.seq);
        self.log.begins.push(last + 1);
        self.clock.advance(LIFE);
    }

    /// One life of the tokens.
    fn live_once(&mut self, strike: Strike) {
        let holds = matches!(
            strike,
            Strike::Holder | Strike::HolderLater | Strike::RedisBeforeSave
        );
        let gate = holds.then(|| {
            let on = On::grant("refresh_token");
            self.mock.gate("refresh", on, At::Answer)
        });
        self.begin_life();
        self.log.strikes.push(strike);
        let began = Instant::now();
        for place in 0..self.processes.len() {
            self.tick(place);
        }
        self.strike(strike, gate);
        let life = self.life;
        self.hear_until(|fleet| fleet.processes.iter().all(|process| process.done == life));
        if strike == Strike::Nothing {
            self.cycle = began.elapsed();
        }
    }

    pub(crate) fn tick(&mut self, place: usize) {
        let (life, now) = (self.life, self.clock.now().unix.as_secs());
        self.processes[place].tick(life, now);
    }

    fn strike(&mut self, strike: Strike, gate: Option<Gate>) {
        if let Some(gate) = gate {
            assert!(gate.arrived_blocking(1, PATIENCE), "no request came");
            let requests = self.mock.requests();
            let is_renewal = |entry: &&JournalEntry| entry.grant == Some("refresh_token");
            let renewal = requests.iter().rev().find(is_renewal);
            let holder = renewal.expect("it is held").headers[worker::FROM.as_str()].clone();
            let holder = self
                .processes
                .iter()
                .position(|process| process.name == holder);
            let holder = holder.expect("it lives");
            match strike {
                Strike::Holder => {
                    self.kill(&[holder]);
                    gate.open();
                }
                Strike::HolderLater => {
                    gate.open();
                    sleep(Duration::from_micros(self.dice.below(6_000) as u64));
                    self.kill(&[holder]);
                }
                _ => {
                    let began = self.kill_redis();
                    gate.open();
                    self.restart_redis(began);
                }
            }
            return;
        }
        // In parts of what a life takes here, so that they fall into it on any machine.
        sleep(self.cycle.mul_f64(self.dice.fraction() * 1.1));
        let any = self.dice.below(PROCESSES);
        match strike {
            Strike::Process => self.kill(&[any]),
            Strike::Redis | Strike::Both | Strike::All => {
                let victims: Vec<usize> = match strike {
                    Strike::Both => vec![any],
                    Strike::All => (0..PROCESSES).collect(),
                    _ => Vec::new(),
                };
                let began = self.kill_redis();
                self.kill(&victims);
                self.restart_redis(began);
            }
            _ => {}
        }
    }

    /// Kills processes, and starts others in their places.
    fn kill(&mut self, places: &[usize]) {
        // All at once, as far as this goes: what one leaves is not taken up by the next victim.
        for &place in places {
            self.processes[place].kill();
        }
        for &place in places {
            let next = self.start(place);
            let killed = std::mem::replace(&mut self.processes[place], next);
            self.log.killed.push(Killed {
                name: killed.name.clone(),
                life: self.life,
            });
        }
    }

    fn kill_redis(&mut self) -> u64 {
        let began = micros();
        self.redis.kill();
        began
    }

    fn restart_redis(&mut self, began: u64) {
        let [least, most] = AWAY;
        let away = least + (most - least) * self.dice.fraction();
        sleep(Duration::from_secs_f64(away));
        self.redis.restart();
        self.log.away.push((began, micros()));
    }

    /// Takes what they say, until it is enough.
    pub(crate) fn hear_until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_enough(self) {
            let left = end.saturating_duration_since(Instant::now());
            match self.words.recv_timeout(left) {
                Ok((of, Some(word))) => self.hear(&of, &word),
                Ok((of, None)) => {
                    let lives = self.processes.iter().any(|process| process.name == of);
                    assert!(!lives, "process {of} has ended by itself");
                }
                Err(RecvTimeoutError::Timeout) => self.panic_stuck(),
                Err(RecvTimeoutError::Disconnected) => unreachable!("it has a sender itself"),
            }
        }
    }

    fn panic_stuck(&self) -> ! {
        let stuck: BTreeSet<&str> = self
            .processes
            .iter()
            .filter(|process| process.done != self.life || !process.is_ready)
            .map(|process| process.name.as_str())
            .collect();
        let last = self.log.failed.last().map(|failed| failed.text.as_str());
        panic!(
            "life {}: stuck: {stuck:?}; the last failure: {last:?}",
            self.life
        );
    }

    fn hear(&mut self, of: &str, word: &str) {
        let place = self.processes.iter().position(|process| process.name == of);
        let parts: Vec<&str> = word.splitn(7, ' ').collect();
        match parts[..] {
            ["ready"] => {
                if let Some(place) = place {
                    self.processes[place].is_ready = true;
                    if self.life > 0 {
                        self.tick(place);
                    }
                }
            }
            ["done", life] => {
                if let Some(place) = place {
                    self.processes[place].done = life.parse().expect("a number");
                }
            }
            ["token", life, kind, _, ended, print] => self.log.given.push(Given {
                by: of.to_owned(),
                life: life.parse().expect("a number"),
                kind: Kind::of(kind),
                print: print.to_owned(),
                ended: ended.parse().expect("a number"),
            }),
            ["failed", life, kind, began, ended, login, text] => {
                let failed = Failed {
                    by: of.to_owned(),
                    life: life.parse().expect("a number"),
                    kind: Kind::of(kind),
                    began: began.parse().expect("a number"),
                    ended: ended.parse().expect("a number"),
                    needs_login: login == "true",
                    text: text.to_owned(),
                };
                // Somebody logs in when an application says that it has to be.
                let last = self.log.logins.last().map_or(0, |(_, _, at)| *at);
                let is_lost = failed.needs_login && failed.kind == Kind::Login;
                let is_news = failed.life == self.life && failed.began > last;
                self.log.failed.push(failed);
                if is_lost && is_news {
                    self.log_in();
                }
            }
            _ => panic!("process {of}: {word}"),
        }
    }
}
