//! The day: who comes when, what goes wrong, and what is held against the book.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::Region;
use coze_auth_core::config::Environment;
use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtApp, RsaKey};
use coze_auth_mock::{AppKind, At, CozeAuthMock, DeviceAction, Fault, FaultHandle, On};
use coze_auth_store::{FileStore, GrantStore, MemoryStore};
use coze_auth_tokens::Error;

use crate::book::Book;
use crate::clocks::BlockingClock;
use crate::dice::Dice;
use crate::machine::{Client, Kind, Machine, Plan, reqwest_client, ureq_client};
use crate::store::Shelf;
use crate::wire::{Clock, Watched};
use crate::{Arguments, Plant};

/// Two over each adapter. The first two have their logins in one store of files, the others in one in memory.
const MACHINES: usize = 4;
const HOUR: u64 = 60 * 60;
/// Between the visits of a user, at most.
const BETWEEN: usize = 40 * 60;
/// For so many seconds a user tries again, once a second if nobody else takes time.
const PATIENCE: u64 = 30;
/// Requests for a token in one visit: pauses of 1, 2, 4 … s leave no more of 30 s, and the first asks twice.
const MOST_REQUESTS: usize = 8;
/// A failure is told for so long after its cause has gone: the longest pause.
const PAUSE: u64 = 61;
/// What `Retry-After` asks for here.
const RETRY_AFTER: u64 = 600;
/// In a whole day, of the memory after a quarter of it. Without `MALLOC_ARENA_MAX=1` the arenas of new threads grow by more.
const GROWTH: f64 = 1.10;
/// So many grants for each user are remembered by the mock, which has issued as many before a quarter of a day.
const GRANTS: usize = 5;

/// A gateway's page.
const PAGE: &str = "<!DOCTYPE html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>";

/// A user wants to use the API.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Visit {
    user: usize,
    machine: usize,
    began: u64,
    /// For a token, since the machine's last restart, which makes it forget its pauses.
    requests: usize,
    /// How often the machine had restarted.
    restarts: usize,
}

/// What comes to pass.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    /// A user.
    Comes(usize),
    Again(Visit),
    /// Of the endpoint of tokens.
    TroubleBegins(Trouble),
    TroubleEnds(Trouble),
    /// A machine cannot store logins.
    Full(usize),
    NotFull(usize),
    /// The calendar of a machine is wrong by so many seconds.
    Clock(usize, i64),
    Restart(usize),
    /// The newest access token of a user ends at the server.
    Revoke(usize),
    /// What the process has of memory.
    Weighed,
}

/// What the endpoint of tokens does wrong.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Trouble {
    Unavailable,
    UnavailableFor,
    TooMany,
    Html,
    /// Before it has acted, and after that.
    ResetBefore,
    ResetAfter,
    Truncated,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::Unavailable,
    Trouble::UnavailableFor,
    Trouble::TooMany,
    Trouble::Html,
    Trouble::ResetBefore,
    Trouble::ResetAfter,
    Trouble::Truncated,
];

impl Trouble {
    fn fault(self) -> Fault {
        match self {
            Self::Unavailable => Fault::status(503),
            Self::UnavailableFor => {
                Fault::status(503).header("retry-after", &RETRY_AFTER.to_string())
            }
            Self::TooMany => Fault::status(429),
            Self::Html => Fault::status(200)
                .header("content-type", "text/html")
                .body(PAGE),
            Self::ResetBefore => Fault::reset().at(At::Request),
            Self::ResetAfter => Fault::reset().at(At::Answer),
            Self::Truncated => Fault::truncate(),
        }
    }

    const fn lasts_on(self) -> u64 {
        match self {
            Self::UnavailableFor => RETRY_AFTER + 1,
            _ => PAUSE,
        }
    }
}

/// What a day came to.
#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) arguments: Arguments,
    pub(crate) wrong: Vec<String>,
    /// Of all that happened, in its order.
    pub(crate) digest: u64,
    visits: usize,
    calls: usize,
    grants: usize,
    requests: usize,
    failed: usize,
    logins: usize,
    most: usize,
    hidden_ends: usize,
    /// In MB, after each hour.
    memory: Vec<f64>,
}

impl Day {
    pub(crate) fn figure(&self) -> String {
        let Arguments {
            seed, users, hours, ..
        } = self.arguments;
        format!(
            "seed {seed}: {users} users, {hours} h: {} visits, {} calls of the API, {} tokens by {} requests (at most {} in a visit), \
             {} visits without a token, {} logins lost, {} ended tokens hidden by a clock that was behind; {} kinds of things wrong; digest {:016x}",
            self.visits,
            self.calls,
            self.grants,
            self.requests,
            self.most,
            self.failed,
            self.logins,
            self.hidden_ends,
            self.wrong.len(),
            self.digest,
        )
    }

    pub(crate) fn memory(&self) -> String {
        let hours = self.memory.iter().map(|mb| format!("{mb:.1}"));
        hours.collect::<Vec<_>>().join(" ")
    }
}

struct World {
    mock: CozeAuthMock,
    clock: SharedClock,
    book: Arc<Mutex<Book>>,
    kinds: Vec<Kind>,
    plans: Vec<Plan>,
    machines: Vec<Machine>,
    clocks: Vec<Clock>,
    full: Vec<Arc<AtomicBool>>,
    device: DeviceApp,
    dice: Dice,
    events: BinaryHeap<Reverse<(u64, usize, Event)>>,
    added: usize,
    faults: Vec<(Trouble, [FaultHandle; 2])>,
    /// Until then a failure has a cause: of the endpoint, and of the store of a machine.
    troubled_until: u64,
    full_until: Vec<u64>,
    /// When the clock of a machine was set.
    set_at: Vec<u64>,
    /// How often a machine has restarted.
    restarts: Vec<usize>,
    plant: Option<Plant>,
    digest: DefaultHasher,
    day: Day,
    folder: PathBuf,
}

/// Lives through it all.
pub(crate) fn live(arguments: Arguments) -> Day {
    let mut world = World::new(arguments);
    world.arrange();
    let end = world.now() + arguments.hours * HOUR;
    while let Some(Reverse((at, _, event))) = world.events.pop() {
        if at >= end {
            break;
        }
        let now = world.now();
        world
            .clock
            .advance(Duration::from_secs(at.saturating_sub(now)));
        world.pass(event);
    }
    world.end()
}

/// What the process has of memory for itself, in MB: the pages of its file come as they are used. None where the system is not Linux.
fn own_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let kb = lines.find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kb: f64 = kb.trim().split(' ').next()?.parse().ok()?;
    Some(kb / 1024.0)
}

fn scratch() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("coze-auth-day-{}-{number}", std::process::id());
    std::env::temp_dir().join(name)
}

fn kind_of(user: usize) -> Kind {
    match user % 4 {
        0 | 1 => Kind::Login,
        2 => Kind::Session,
        _ => Kind::SharedSession,
    }
}

/// The machines that serve this user.
fn machines_of(user: usize) -> [usize; 2] {
    match user % 4 {
        0 => [0, 1],
        _ => [2, 3],
    }
}

impl World {
    fn new(arguments: Arguments) -> Self {
        let clock = SharedClock::new();
        let mock = CozeAuthMock::builder()
            .seed(1)
            .clock(clock.handle())
            // Its tables are full soon, and do not hide what a client keeps.
            .toml(&format!(
                "[limits]\njournal = 100\ngrants = {}",
                GRANTS * arguments.users
            ))
            .expect("TOML")
            .start_blocking()
            .expect("a free port on 127.0.0.1");
        let kinds: Vec<_> = (0..arguments.users).map(kind_of).collect();
        let shared = kinds.iter().map(|kind| *kind != Kind::Session);
        let book = Arc::new(Mutex::new(Book::new(shared)));
        let (device, endpoints) = {
            let settings = Environment::new(Region::Cn, |name| mock.variable(name));
            let device = settings.device_app().expect("a ready-made app");
            (device, settings.endpoints().expect("a base"))
        };
        let app = mock.app(AppKind::Jwt).expect("a ready-made app");
        let key = RsaKey::from_pem(app.private_key().expect("a key")).expect("a key");
        let jwt = JwtApp::new(
            endpoints,
            app.client_id(),
            app.key_id().expect("an id"),
            key,
        );
        let jwt = jwt.expect("an app");
        let folder = scratch();
        let files: Arc<dyn GrantStore> = Arc::new(FileStore::new(&folder).expect("a folder"));
        let memory: Arc<dyn GrantStore> = Arc::new(MemoryStore::new());
        let tokens = MemoryStore::new();
        let kept = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let full: Vec<_> = (0..MACHINES)
            .map(|_| Arc::<AtomicBool>::default())
            .collect();
        let start = clock.now().unix.as_secs();
        let clocks: Vec<_> = (0..MACHINES)
            .map(|_| Clock {
                shared: clock.clone(),
                off: Arc::<AtomicI64>::default(),
                stands_at: (arguments.fault == Some(Plant::Expiry)).then_some(start),
            })
            .collect();
        let plan = |machine: usize| {
            let clock = clocks[machine].clone();
            let client = match machine % 2 {
                0 => Client::Reqwest(watched(
                    reqwest_client(),
                    machine,
                    clock,
                    &book,
                    arguments,
                    &kept,
                )),
                _ => Client::Ureq(watched(
                    ureq_client(),
                    machine,
                    clock,
                    &book,
                    arguments,
                    &kept,
                )),
            };
            let inner = if machine < 2 { &files } else { &memory };
            Plan {
                client,
                device: device.clone(),
                jwt: jwt.clone(),
                logins: Shelf {
                    inner: inner.clone(),
                    machine,
                    is_full: full[machine].clone(),
                    book: book.clone(),
                },
                shared: tokens.clone(),
            }
        };
        let plans: Vec<_> = (0..MACHINES).map(plan).collect();
        Self {
            machines: plans.iter().map(Machine::start).collect(),
            plans,
            clocks,
            full,
            mock,
            clock,
            book,
            kinds,
            device,
            dice: Dice::new(arguments.seed),
            events: BinaryHeap::new(),
            added: 0,
            faults: Vec::new(),
            troubled_until: 0,
            full_until: vec![0; MACHINES],
            set_at: vec![0; MACHINES],
            restarts: vec![0; MACHINES],
            plant: arguments.fault,
            digest: DefaultHasher::new(),
            day: Day {
                arguments,
                wrong: Vec::new(),
                digest: 0,
                visits: 0,
                calls: 0,
                grants: 0,
                requests: 0,
                failed: 0,
                logins: 0,
                most: 0,
                hidden_ends: 0,
                memory: Vec::new(),
            },
            folder,
        }
    }

    fn now(&self) -> u64 {
        self.clock.now().unix.as_secs()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        let mut book = self.book.lock().expect("nobody panics");
        book.now = self.now();
        book
    }

    fn add(&mut self, at: u64, event: Event) {
        self.added += 1;
        self.events.push(Reverse((at, self.added, event)));
    }

    /// What the seed says of the day.
    fn arrange(&mut self) {
        let (start, seconds) = (self.now(), self.day.arguments.hours * HOUR);
        let users = self.kinds.len();
        let any = |dice: &mut Dice| start + dice.below(seconds as usize) as u64;
        for user in 0..users {
            let at = start + self.dice.below(BETWEEN) as u64;
            self.add(at, Event::Comes(user));
        }
        let mut troubles = TROUBLES;
        self.dice.shuffle(&mut troubles);
        let mut troubles = troubles.into_iter().cycle();
        for _ in 0..self.day.arguments.hours {
            // Some of them overlap.
            for trouble in troubles.by_ref().take(2) {
                let at = any(&mut self.dice);
                let end = at + 20 + self.dice.below(10 * 60) as u64;
                self.add(at, Event::TroubleBegins(trouble));
                self.add(end, Event::TroubleEnds(trouble));
            }
            let machine = self.dice.below(MACHINES);
            let at = any(&mut self.dice);
            // One that is ten minutes behind gets no token of a JWT app.
            let off = match self.dice.below(2) {
                0 => -(self.dice.below(9 * 60) as i64),
                _ => self.dice.below(60 * 60) as i64,
            };
            self.add(at, Event::Clock(machine, off));
            let end = at + 60 + self.dice.below(60 * 60) as u64;
            self.add(end, Event::Clock(machine, 0));
            let at = any(&mut self.dice);
            let machine = self.dice.below(MACHINES);
            self.add(at, Event::Restart(machine));
            let machine = self.dice.below(MACHINES);
            let at = any(&mut self.dice);
            self.add(at, Event::Full(machine));
            let end = at + 20 + self.dice.below(20 * 60) as u64;
            self.add(end, Event::NotFull(machine));
            for _ in 0..users.div_ceil(50) {
                let at = any(&mut self.dice);
                let user = self.dice.below(users);
                self.add(at, Event::Revoke(user));
            }
        }
        for hour in 1..=self.day.arguments.hours {
            self.add(start + hour * HOUR - 1, Event::Weighed);
        }
    }

    fn tell(&mut self, what: &str) {
        (self.now(), what).hash(&mut self.digest);
    }

    fn pass(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Comes(user) => {
                self.day.visits += 1;
                let machine = machines_of(user)[self.dice.below(2)];
                return self.ask(Visit {
                    user,
                    machine,
                    began: now,
                    requests: 0,
                    restarts: self.restarts[machine],
                });
            }
            Event::Again(visit) => return self.ask(visit),
            Event::TroubleBegins(trouble) => {
                let on = ["refresh_token", "jwt_bearer"].map(On::grant);
                let faults = on.map(|on| self.mock.fault(on, trouble.fault()));
                self.faults.push((trouble, faults));
            }
            Event::TroubleEnds(trouble) => {
                if let Some(at) = self.faults.iter().position(|(own, _)| *own == trouble) {
                    let (_, faults) = self.faults.remove(at);
                    faults.into_iter().for_each(FaultHandle::remove);
                }
                self.troubled_until = self.troubled_until.max(now + trouble.lasts_on());
            }
            Event::Full(machine) => self.full[machine].store(true, Ordering::Relaxed),
            Event::NotFull(machine) => {
                self.full[machine].store(false, Ordering::Relaxed);
                self.full_until[machine] = now + PAUSE;
            }
            Event::Clock(machine, off) => {
                self.clocks[machine].off.store(off, Ordering::Relaxed);
                self.set_at[machine] = now;
            }
            Event::Restart(machine) => {
                self.restart(machine);
                self.restarts[machine] += 1;
            }
            Event::Revoke(user) => {
                let token = self.book().users[user].newest.clone();
                self.mock.revoke(&token);
            }
            Event::Weighed => self.day.memory.extend(own_memory()),
        }
        self.tell(&format!("{event:?}"));
    }

    fn restart(&mut self, machine: usize) {
        self.machines[machine] = Machine::start(&self.plans[machine]);
        self.book().restart(machine);
    }

    /// A user asks, and asks again a second later where there is no token. Others come meanwhile.
    fn ask(&mut self, visit: Visit) {
        let Visit { user, machine, .. } = visit;
        let (needs_one, before) = {
            let mut book = self.book();
            book.user = user;
            book.requests = 0;
            book.was_refused = false;
            (book.needs_one(machine), self.now())
        };
        let called = self.machines[machine].call(self.kinds[user], &user.to_string());
        let (asked, was_refused) = {
            let book = self.book();
            (book.requests, book.was_refused)
        };
        let restarts = self.restarts[machine];
        let before_this = if restarts == visit.restarts {
            visit.requests
        } else {
            0
        };
        let visit = Visit {
            requests: before_this + asked,
            restarts,
            ..visit
        };
        self.day.most = self.day.most.max(visit.requests);
        if visit.requests > MOST_REQUESTS {
            let what = "too many requests for a token in one visit";
            self.book().blame(what, &visit.requests.to_string());
        }
        let outcome = match &called {
            Ok(()) => "ok",
            Err(error) if error.needs_login() => "login",
            Err(_) => "failed",
        };
        self.tell(&format!("user {user} at {machine}: {outcome}, {asked}"));
        // A wrong clock may renew more often, and its end be noticed late.
        let is_right = self.clocks[machine].off.load(Ordering::Relaxed) == 0
            && before > self.set_at[machine] + HOUR;
        if asked > 0 && !needs_one && !was_refused && is_right {
            self.book()
                .blame("a request, though a good token could be had", outcome);
        }
        let pause = match called {
            Ok(()) => return self.leave(user),
            Err(error) if error.needs_login() => {
                self.log_in(user, machine, &error);
                0
            }
            Err(error) => {
                self.explain(machine, &error);
                if self.plant == Some(Plant::Pause) {
                    self.restart(machine);
                }
                1
            }
        };
        if self.now() >= visit.began + PATIENCE {
            self.day.failed += 1;
            return self.leave(user);
        }
        self.add(self.now() + pause, Event::Again(visit));
    }

    fn leave(&mut self, user: usize) {
        let pause = 1 + self.dice.below(BETWEEN) as u64;
        self.add(self.now() + pause, Event::Comes(user));
    }

    /// A failure has a cause that has not gone for long.
    fn explain(&self, machine: usize, error: &Error) {
        let now = self.now();
        let is_full = self.full[machine].load(Ordering::Relaxed) || now <= self.full_until[machine];
        let is_troubled = !self.faults.is_empty() || now <= self.troubled_until;
        // A token that has ended by the server's clock looks good, also in the store.
        let is_behind = self.clocks[machine].off.load(Ordering::Relaxed) < 0;
        let is_refused = is_behind && self.book().was_refused;
        if !is_full && !is_troubled && !is_refused {
            let how = error.to_string();
            self.book()
                .blame("no token, though nothing was wrong", &how);
        }
    }

    /// The person logs in, since the refresh token is gone.
    fn log_in(&mut self, user: usize, machine: usize, error: &Error) {
        let mut book = self.book();
        let own = book.this();
        let is_first = own.newest.is_empty();
        let is_explained = is_first || own.in_doubt || !own.unsaved.is_empty();
        if !is_explained {
            book.blame(
                "a login is lost, and nothing explains it",
                &error.to_string(),
            );
        }
        drop(book);
        self.day.logins += usize::from(!is_first);
        let client = ureq_client().with_time(BlockingClock(self.clock.clone()));
        let started = client.run(self.device.start()).expect("a device code");
        let approved = self
            .mock
            .decide_device(&started.user_code, DeviceAction::Approve);
        approved.expect("it waits");
        let grant = client.run(self.device.poll(&started)).expect("a grant");
        let end = grant.expires_at.as_secs();
        let access = grant.access_token.expose().to_owned();
        self.book().logged_in(machine, &access, end);
        // It waits in the machine where the store is full.
        if let Err(error) = self.machines[machine].install(&user.to_string(), grant) {
            self.explain(machine, &error);
        }
    }

    fn end(mut self) -> Day {
        let memory = &self.day.memory;
        // A short day is mostly the allocator's.
        if memory.len() >= 24 {
            let (early, late) = (memory[memory.len() / 4 - 1], memory[memory.len() - 1]);
            if late > early * GROWTH {
                let what = format!("{early:.1} MB became {late:.1} MB");
                self.book().blame("the memory grows", &what);
            }
        }
        let mut book = self.book.lock().expect("nobody panics");
        self.day.calls = book.calls;
        self.day.grants = book.grants;
        self.day.requests = book.all_requests;
        self.day.hidden_ends = book.hidden_ends;
        self.day.wrong = book.take_wrong();
        self.day.digest = self.digest.finish();
        drop(book);
        drop(self.machines);
        let _gone = std::fs::remove_dir_all(&self.folder);
        self.day
    }
}

fn watched<C>(
    client: C,
    machine: usize,
    clock: Clock,
    book: &Arc<Mutex<Book>>,
    arguments: Arguments,
    kept: &Arc<Mutex<Vec<Vec<u8>>>>,
) -> Watched<C> {
    Watched {
        client,
        machine,
        clock,
        book: book.clone(),
        plant: arguments.fault,
        kept: kept.clone(),
    }
}
