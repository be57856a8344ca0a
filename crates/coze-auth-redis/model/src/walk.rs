//! Processes that renew one grant over the model, walks by a seed, and what must hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_core::device::DeviceApp;
use coze_auth_core::{Endpoints, TokenGrant};
use coze_auth_store::{AsyncGrantStore as _, AsyncLockedGrant as _, GrantKey, Saved, StoreError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::dice::{Dice, seed_thread};
use crate::options::RedisOptions;
use crate::server::{Network, Server, Trouble};
use crate::store::{RedisLock, RedisStore};

/// How many walks of each kind, each of some thousand steps. `COZE_AUTH_MODEL_WALKS` sets another number.
const WALKS: u64 = 12;
const PROCESSES: u32 = 3;
/// How long an access token lives, and for how long a walk goes on: by the virtual clock.
const LIFE: Duration = Duration::from_secs(20);
const WALK: Duration = Duration::from_secs(400);
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a call can last beyond its patience: one last try to connect, and its answer.
const GRACE: Duration = Duration::from_secs(11);

/// The token endpoint: it knows nothing of leases.
#[derive(Default)]
struct Endpoint {
    current: u64,
    issued: BTreeMap<u64, Instant>,
    /// By a refresh token that was spent: how often the server had gone back when who spent it got the lease.
    spent: BTreeMap<u64, u64>,
    logins: u64,
    reuses: u64,
}

impl Endpoint {
    fn issue(&mut self) -> u64 {
        self.current += 1;
        self.issued.insert(self.current, Instant::now());
        self.current
    }

    fn is_fresh(&self, number: u64) -> bool {
        self.issued[&number].elapsed() < LIFE
    }
}

pub(crate) fn grant(number: u64) -> TokenGrant {
    TokenGrant::from_secret_json(&format!(
        r#"{{"access_token":"at_{number}","refresh_token":"rt_{number}","issued_at":1,"expires_at":2}}"#
    ))
    .unwrap()
}

pub(crate) fn number_of(grant: &TokenGrant) -> u64 {
    let token = grant.refresh_token.as_ref().unwrap();
    token.expose()[3..].parse().unwrap()
}

#[derive(Clone)]
struct World {
    server: Arc<Mutex<Server>>,
    endpoint: Arc<Mutex<Endpoint>>,
    key: GrantKey,
    /// Of the whole walk: what is spent when all is well again may have been spent before.
    trouble: Trouble,
}

/// What a process does beside its store, in the order of a token source.
struct Process {
    world: World,
    store: RedisStore,
    name: u32,
    /// What it could not store: the refresh token that was spent for it, and the new one.
    unsaved: Option<(u64, u64)>,
    dice: Dice,
}

impl World {
    fn note(&self, text: String) {
        self.server.lock().unwrap().note(text);
    }

    fn wrong(&self, text: String) {
        self.server.lock().unwrap().wrong(text);
    }

    fn process(&self, name: u32, seed: u64) -> Process {
        let network = Network {
            server: self.server.clone(),
            process: name,
        };
        let store = RedisStore::with(RedisOptions::over(network)).unwrap();
        // Its thread would be waited for.
        std::mem::forget(store.clone());
        Process {
            world: self.clone(),
            store,
            name,
            unsaved: None,
            dice: Dice::new(seed),
        }
    }

    /// Spends a refresh token. None: it is refused.
    fn spend(&self, name: u32, number: u64, knowing: bool, restores: u64) -> Option<u64> {
        let mut server = self.server.lock().unwrap();
        let mut endpoint = self.endpoint.lock().unwrap();
        server.note(format!("{name} spends rt_{number}, knowing: {knowing}"));
        // A lease is lost with a server that goes back, and with it the mark of who held it.
        if let Some(first) = endpoint.spent.get(&number)
            && !knowing
            && (*first).min(restores) == server.watched.restores
        {
            server.wrong(format!(
                "rt_{number} was spent twice by those who did not know that it may be spent"
            ));
        }
        if number == endpoint.current {
            endpoint.spent.insert(number, restores);
            return Some(endpoint.issue());
        }
        endpoint.reuses += 1;
        if self.trouble.stores_can_help() {
            server.wrong(format!("rt_{number} was spent before"));
        }
        None
    }
}

impl Process {
    async fn lock(&self) -> Result<RedisLock, StoreError> {
        let began = Instant::now();
        let locked = self.store.lock(&self.world.key, PATIENCE).await;
        let took = began.elapsed();
        if took > PATIENCE + GRACE {
            self.world.wrong(format!("a waiter waited for {took:?}"));
        }
        locked
    }

    async fn save(
        &mut self,
        lock: &mut RedisLock,
        from: u64,
        number: u64,
    ) -> Result<Saved, StoreError> {
        let saved = lock.save(&grant(number)).await;
        self.unsaved = match &saved {
            Ok(Saved::Stored | Saved::Superseded) => None,
            Err(_) => Some((from, number)),
        };
        self.world
            .note(format!("{} saved rt_{number}: {saved:?}", self.name));
        saved
    }

    /// One renewal, if it is to be renewed. True: this process has a valid token afterwards.
    async fn renew(&mut self) -> Result<bool, StoreError> {
        let mut lock = self.lock().await?;
        let restores = self.world.server.lock().unwrap().watched.restores;
        if let Some((from, number)) = self.unsaved {
            let stored = lock.load().await?.map(|grant| number_of(&grant));
            match stored {
                Some(stored) if stored == from => {
                    self.save(&mut lock, from, number).await?;
                    return Ok(true);
                }
                _ => self.unsaved = None,
            }
        }
        let mut stored = lock.load().await?.map(|grant| number_of(&grant));
        for _ in 0..2 {
            let Some(number) = stored else {
                break;
            };
            if self.world.endpoint.lock().unwrap().is_fresh(number) {
                return Ok(true);
            }
            lock.prepare().await?;
            let knowing = lock.doubt().is_some();
            let takes = self.dice.between(5, 900);
            sleep(Duration::from_millis(takes)).await;
            if let Some(new) = self.world.spend(self.name, number, knowing, restores) {
                // The window in which a death takes the new one along.
                self.unsaved = Some((number, new));
                sleep(Duration::from_millis(self.dice.between(5, 900))).await;
                return Ok(self.save(&mut lock, number, new).await? == Saved::Stored);
            }
            let again = lock.load().await?.map(|grant| number_of(&grant));
            if again == stored {
                break;
            }
            stored = again;
        }
        // A person logs in.
        lock.prepare().await?;
        let new = {
            let mut endpoint = self.world.endpoint.lock().unwrap();
            endpoint.logins += 1;
            endpoint.issue()
        };
        self.world.note(format!("{}: a person logs in", self.name));
        self.unsaved = None;
        Ok(lock.save(&grant(new)).await? == Saved::Stored)
    }

    async fn go_on(mut self) {
        loop {
            let outcome = self.renew().await;
            self.world.note(format!("{} ends: {outcome:?}", self.name));
            sleep(Duration::from_millis(self.dice.between(100, 9_000))).await;
        }
    }
}

fn start(world: &World, name: u32, seed: u64) -> JoinHandle<()> {
    tokio::spawn(world.process(name, seed).go_on())
}

/// What a walk has come to.
#[derive(Debug, Default)]
struct Sum {
    steps: u64,
    renewals: u64,
    logins: u64,
    reuses: u64,
    restores: u64,
    leaps: u64,
}

async fn walk(seed: u64, trouble: Trouble) -> Result<Sum, String> {
    let server = Arc::new(Mutex::new(Server::new(seed, trouble)));
    let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
    let world = World {
        server,
        endpoint: Arc::default(),
        key: GrantKey::new(&app.into(), "alice").unwrap(),
        trouble,
    };
    let mut dice = Dice::new(seed ^ 0x19);
    let mut names = PROCESSES;
    let mut running: Vec<(u32, JoinHandle<()>)> = (0..PROCESSES)
        .map(|name| (name, start(&world, name, seed + u64::from(name))))
        .collect();
    let began = Instant::now();
    while began.elapsed() < WALK {
        sleep(Duration::from_millis(dice.between(50, 1_000))).await;
        let mut server = world.server.lock().unwrap();
        if dice.of_thousand(trouble.leaps) {
            let by = dice.one(&[-3_600_000, -7_000, 5_000, 12_000, 3_600_000]);
            server.leap(by);
        }
        if dice.of_thousand(trouble.restores) {
            server.restart(dice.one(&[0, 1, 2, 3, 5, 1000]));
        }
        if dice.of_thousand(trouble.cuts) {
            let until = Instant::now() + Duration::from_millis(dice.between(500, 25_000));
            let process = running[usize::try_from(dice.below(u64::from(PROCESSES))).unwrap()].0;
            server.cut.insert(process, until);
            server.note(format!("{process} is cut off"));
        }
        if dice.of_thousand(trouble.refusals) {
            let until = Instant::now() + Duration::from_millis(dice.between(500, 80_000));
            server.refuses = Some(until);
            server.note("it takes no writes".to_owned());
        }
        if dice.of_thousand(trouble.deaths) {
            let place = usize::try_from(dice.below(u64::from(PROCESSES))).unwrap();
            let (dies, task) = &running[place];
            server.dead.insert(*dies);
            server.note(format!("{dies} dies"));
            drop(server);
            task.abort();
            running[place] = (names, start(&world, names, seed + u64::from(names)));
            names += 1;
        }
    }
    // All is well again: each has a valid token in the end.
    {
        let mut server = world.server.lock().unwrap();
        server.trouble = Trouble::default();
        server.cut.clear();
        server.refuses = None;
        server.note("all is well".to_owned());
    }
    let mut last = world.process(names, seed);
    let began = Instant::now();
    while !matches!(last.renew().await, Ok(true)) {
        if began.elapsed() > Duration::from_secs(130) {
            world.wrong("nobody gets a token, though all is well".to_owned());
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let server = world.server.lock().unwrap();
    let endpoint = world.endpoint.lock().unwrap();
    if !server.watched.wrong.is_empty() {
        let log = &server.watched.log;
        let first = log.iter().position(|line| line.contains("WRONG")).unwrap();
        let log = log[first.saturating_sub(60)..=first].join("\n");
        return Err(format!("seed {seed}: {:?}\n{log}", server.watched.wrong));
    }
    Ok(Sum {
        steps: server.watched.steps,
        renewals: endpoint.current,
        logins: endpoint.logins,
        reuses: endpoint.reuses,
        restores: server.watched.restores,
        leaps: server.watched.leapt,
    })
}

/// Walks from many seeds. The first that breaks what must hold ends them, with its last steps.
fn walks(trouble: Trouble) -> Sum {
    let count = std::env::var("COZE_AUTH_MODEL_WALKS").map_or(WALKS, |text| text.parse().unwrap());
    let mut sum = Sum::default();
    for seed in 0..count {
        seed_thread(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let one = runtime.block_on(walk(seed, trouble));
        let one = one.unwrap_or_else(|why| panic!("{why}"));
        sum.steps += one.steps;
        sum.renewals += one.renewals;
        sum.logins += one.logins;
        sum.reuses += one.reuses;
        sum.restores += one.restores;
        sum.leaps += one.leaps;
    }
    println!("{sum:?}");
    sum
}

/// Answers are lost, connections break, calls are done again: no store may lose anything then.
const UNCLEAR: Trouble = Trouble {
    unanswered: 20,
    late: 0,
    lost: 0,
    broken: 40,
    repeated: 60,
    leaps: 0,
    restores: 0,
    deaths: 0,
    cuts: 0,
    refusals: 0,
};

#[test]
fn answers_that_are_lost_and_calls_that_are_repeated_spend_nothing_twice() {
    let sum = walks(UNCLEAR);
    assert_eq!(sum.reuses, 0);
    // One for each walk: the first.
    assert!(sum.renewals > sum.logins * 5, "{sum:?}");
}

#[test]
fn calls_that_are_late_or_never_done_bring_nothing_back() {
    let sum = walks(Trouble {
        late: 40,
        lost: 30,
        cuts: 15,
        refusals: 8,
        ..UNCLEAR
    });
    assert!(sum.renewals > sum.logins, "{sum:?}");
}

#[test]
fn after_a_death_or_a_leap_the_second_knows() {
    let sum = walks(Trouble {
        late: 20,
        deaths: 25,
        leaps: 15,
        ..UNCLEAR
    });
    assert!(sum.reuses > 0 && sum.leaps > 0, "nothing happened: {sum:?}");
}

#[test]
fn a_server_that_goes_back_gives_no_fence_again_and_keeps_what_it_answers() {
    let sum = walks(Trouble {
        restores: 20,
        late: 20,
        ..UNCLEAR
    });
    assert!(sum.restores > 0, "{sum:?}");
}
