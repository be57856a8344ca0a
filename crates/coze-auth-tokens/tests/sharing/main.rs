//! Tokens of a JWT app or a workload that a fleet of processes shares, over both drivers. A source is a process.

mod coze;
mod processes;
#[path = "../steps/mod.rs"]
mod steps;
mod stores;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_store::{FileStore, GrantKey, GrantStore, MemoryStore};
use coze_auth_tokens::blocking::Blocking;
use coze_auth_tokens::core::jwt::JwtGrant;
use coze_auth_tokens::core::{AccessToken, Endpoints};
use coze_auth_tokens::tokio::Tokio;
use coze_auth_tokens::{Error, Signal, TokenSource};

use coze::{CLIENT_SECRET, Coze, ID_TOKEN, LIFE, Over, SIGNATURE, Told, text, workload_app};
use steps::{Passed, START};
use stores::{Awaited, Call, Faulty, How};

/// Makes a `#[test]` of each case over each driver.
macro_rules! over_both {
    ($($case:ident,)+) => {
        mod over_threads {
            $(#[test]
            fn $case() {
                super::$case::<super::Blocking<super::Coze>>();
            })+
        }
        mod over_tokio {
            $(#[test]
            fn $case() {
                super::$case::<super::Tokio<super::Coze>>();
            })+
        }
    };
}

over_both! {
    a_fleet_signs_once_for_each_life,
    a_fleet_over_files_signs_once_for_each_life,
    a_fleet_of_workloads_makes_one_pair_of_requests_for_each_life,
    each_session_is_shared_under_a_key_of_its_own,
    another_grant_takes_no_token_of_the_one_before,
    whatever_a_store_does_there_is_a_token,
    a_store_that_can_only_be_read_is_read,
    what_another_stored_meanwhile_stays,
    a_damaged_token_counts_as_none_and_is_replaced,
    who_waits_too_long_for_the_lock_signs_alone,
    a_failed_signature_lets_the_next_one_try,
    a_store_that_hangs_is_left_alone_for_half_a_minute,
    a_store_that_is_away_is_left_alone_for_half_a_minute,
    a_token_that_was_refused_is_not_taken_again,
    an_older_token_than_the_refused_one_is_not_taken,
    a_stored_token_is_served_while_it_lasts,
    the_end_is_reckoned_by_the_servers_clock,
    a_fresh_token_is_found_without_the_store,
    sessions_that_are_held_are_evicted_all_the_same,
    no_key_and_no_secret_is_in_the_store,
    a_login_and_a_token_of_the_console_are_not_shared,
}

const PROCESSES: usize = 8;
const CALLERS: usize = 8;
const LIVES: usize = 50;

fn processes<D: Over>(make: impl Fn() -> TokenSource<D>) -> Vec<TokenSource<D>> {
    std::iter::repeat_with(make).take(PROCESSES).collect()
}

/// All callers of all processes ask at once, in each life. In every other one the token has ended, else it is to be renewed.
fn live<D: Over>(coze: &Coze, fleet: &[TokenSource<D>], mut look: impl FnMut(usize)) {
    for life in 1..=LIVES {
        let tokens: BTreeSet<String> = thread::scope(|scope| {
            let all = fleet.iter().flat_map(|process| [process; CALLERS]);
            let callers: Vec<_> = all.map(|process| scope.spawn(|| text(process))).collect();
            let ended = callers.into_iter().map(|caller| caller.join().unwrap());
            ended.collect()
        });
        assert_eq!(tokens.len(), 1, "in life {life}: {tokens:?}");
        look(life);
        coze.clock
            .pass(if life % 2 == 0 { LIFE } else { LIFE - 30 });
    }
}

fn a_fleet<D: Over>(share: impl Fn(TokenSource<D>) -> Result<TokenSource<D>, Error>) {
    let (coze, told) = (Coze::new(), Told::default());
    let process = || told.of(share(coze.jwt::<D>()).unwrap().wait_when_stale());
    live(&coze, &processes(process), |life| {
        assert_eq!(coze.signatures(), life);
    });
    assert_eq!(coze.requests(), LIVES);
    let all = told.take(LIVES * PROCESSES);
    let how_often = |word| all.iter().filter(|told| *told == word).count();
    assert_eq!(how_often("signed"), LIVES);
    assert_eq!(how_often("taken"), LIVES * (PROCESSES - 1));
    assert_eq!(all.len(), LIVES * PROCESSES, "{all:?}");
}

fn a_fleet_signs_once_for_each_life<D: Over>() {
    let store = MemoryStore::new();
    a_fleet::<D>(|tokens| tokens.shared(store.clone()));
}

fn a_fleet_over_files_signs_once_for_each_life<D: Over>() {
    let folder = Folder::new("fleet");
    // Each process opens the folder itself.
    a_fleet::<D>(|tokens| tokens.shared(FileStore::new(&folder.0).unwrap()));
}

#[test]
fn a_fleet_over_a_store_that_is_awaited_signs_once_for_each_life() {
    let store = Awaited::default();
    a_fleet::<Tokio<Coze>>(|tokens| tokens.shared_async(store.clone()));
}

fn a_fleet_of_workloads_makes_one_pair_of_requests_for_each_life<D: Over>() {
    let (coze, store) = (Coze::new(), MemoryStore::new());
    let process = || coze.workload::<D>().shared(store.clone()).unwrap();
    live(&coze, &processes(|| process().wait_when_stale()), |life| {
        assert_eq!(coze.requests(), 2 * life);
    });
}

fn each_session_is_shared_under_a_key_of_its_own<D: Over>() {
    let (coze, store) = (Coze::new(), MemoryStore::new());
    let before = coze.jwt::<D>();
    let early = before.session("early").unwrap();
    // For all clones and sessions, those that there are, too.
    let one = before.shared(store.clone()).unwrap();
    let other = coze.jwt::<D>().shared(store.clone()).unwrap();
    let names = ["alice", "bob", "early"];
    let tokens = names.map(|name| text(&one.session(name).unwrap()));
    assert_eq!(tokens, ["jwt-0-alice", "jwt-1-bob", "jwt-2-early"]);
    assert_eq!(text(&early), "jwt-2-early");
    let others = names.map(|name| text(&other.session(name).unwrap()));
    assert_eq!(others, tokens);
    assert_eq!(
        (text(&one), text(&other)),
        ("jwt-3-".into(), "jwt-3-".into())
    );
    assert_eq!(coze.signatures(), 4);
    let stored = |grant: JwtGrant| {
        let key = GrantKey::jwt(coze.app().issuer(), &grant);
        let stored = store.load(&key).unwrap().expect("it is there");
        stored.access_token.expose().to_owned()
    };
    assert_eq!(stored(JwtGrant::new()), "jwt-3-");
    let bob = JwtGrant::new().session_name("bob").unwrap();
    assert_eq!(stored(bob), "jwt-1-bob");
}

fn another_grant_takes_no_token_of_the_one_before<D: Over>() {
    let (coze, store) = (Coze::new(), MemoryStore::new());
    let long = JwtGrant::new().ttl(Duration::from_secs(3600)).unwrap();
    let process = |grant: &JwtGrant| {
        let tokens = TokenSource::<D>::jwt(&coze, coze.app(), grant.clone());
        text(&tokens.shared(store.clone()).unwrap())
    };
    assert_eq!(process(&JwtGrant::new()), "jwt-0-");
    assert_eq!(process(&long), "jwt-1-");
    assert_eq!(process(&JwtGrant::new()), "jwt-0-");
    assert_eq!(process(&long), "jwt-1-");
    // Nor does another kind of app.
    let workload = coze.workload::<D>().shared(store).unwrap();
    assert_eq!(text(&workload), "workload-2");
}

/// Long enough for this machine, and short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(1_200);
/// What waits for no longer than it should is over by then.
const GUARD: Duration = Duration::from_secs(20);

/// For each call that fails, panics or hangs: the token is there, it is kept, the observer is told why, once; and the next renewal
/// shares again.
fn whatever_a_store_does_there_is_a_token<D: Over>() {
    let hows = [
        (How::Fails, "the store of grants failed"),
        (How::Panics, "the store of grants failed"),
        (How::Hangs(Signal::new()), "has not answered in 0.2 s"),
    ];
    for (how, why) in hows {
        for call in [Call::Load, Call::Lock, Call::LoadHeld, Call::Save] {
            let what = format!("{call:?}: {why}");
            let (coze, told, store) = (Coze::within(TIMEOUT), Told::default(), Faulty::default());
            let process = || coze.jwt::<D>().shared(store.clone()).unwrap();
            let (one, other) = (told.of(process()), process());
            let how = match &how {
                How::Hangs(_) => How::Hangs(Signal::new()),
                how => how.clone(),
            };
            let hangs = matches!(how, How::Hangs(_));
            // A lock is waited for as long as a request, too.
            let why = match call {
                Call::Lock => why.replace("0.2", "1.4"),
                _ => why.to_owned(),
            };
            let lost = matches!(how, How::Panics) || hangs;
            store.breaks(call, how);
            let began = Instant::now();
            assert_eq!(text(&one), "jwt-0-", "{what}");
            assert!(began.elapsed() < GUARD, "{what}");
            // Who has the lock replaces what could not be read.
            let shares = match call {
                Call::Load => !hangs,
                Call::LoadHeld => !lost,
                _ => false,
            };
            let said = told.take(if shares { 1 } else { 2 });
            match &said[..] {
                [signed] if shares => assert_eq!(signed, "signed", "{what}"),
                [not_shared, signed] if !shares => {
                    assert!(
                        not_shared.starts_with("not shared: "),
                        "{what}: {not_shared}"
                    );
                    assert!(not_shared.contains(&why), "{what}: {not_shared}");
                    assert_eq!(signed, "signed", "{what}");
                }
                _ => panic!("{what}: {said:?}"),
            }
            assert_eq!(text(&one), "jwt-0-", "{what}: it is kept in memory");
            assert_eq!(coze.signatures(), 1, "{what}");
            store.heals();
            coze.clock.pass(LIFE);
            assert_eq!(text(&one), "jwt-1-", "{what}");
            assert_eq!(told.take(1), ["signed"], "{what}: the store is well again");
            assert_eq!(text(&other), "jwt-1-", "{what}");
            assert_eq!(coze.signatures(), 2, "{what}");
            D::close(&one).unwrap();
        }
    }
}

/// Its memory is full, or it is a replica: what is there is taken.
fn a_store_that_can_only_be_read_is_read<D: Over>() {
    for lock_reads in [false, true] {
        let (coze, told) = (Coze::new(), Told::default());
        let store = Faulty::whose_lock_reads(lock_reads);
        let process = || told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
        assert_eq!(text(&process()), "jwt-0-");
        store.breaks(Call::Lock, How::Fails);
        assert_eq!(text(&process()), "jwt-0-");
        assert_eq!(told.take(2), ["signed", "taken"], "{lock_reads}");
        coze.clock.pass(LIFE);
        assert_eq!(text(&process()), "jwt-1-");
        let said = told.take(2);
        assert!(said[0].starts_with("not shared: "), "{said:?}");
        store.heals();
        assert_eq!(text(&process()), "jwt-2-");
    }
}

/// A lease that ended: another process was given a token, too. Both are good, and the others have the one.
fn what_another_stored_meanwhile_stays<D: Over>() {
    let (coze, told, store) = (Coze::new(), Told::default(), Faulty::default());
    let tokens = told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    store.breaks(Call::Save, How::Superseded);
    assert_eq!(text(&tokens), "jwt-0-");
    assert_eq!(told.take(1), ["signed"]);
    assert_eq!(
        store.calls(),
        [Call::Load, Call::Lock, Call::LoadHeld, Call::Save],
        "it is not written over"
    );
}

fn a_damaged_token_counts_as_none_and_is_replaced<D: Over>() {
    let folder = Folder::new("damaged");
    let store = FileStore::new(&folder.0).unwrap();
    let (coze, told) = (Coze::new(), Told::default());
    let key = GrantKey::jwt(coze.app().issuer(), &JwtGrant::new());
    for (number, damaged) in ["", "{", "\0", r#"{"version":1}"#].into_iter().enumerate() {
        std::fs::write(store.path(&key), damaged).unwrap();
        let process = || told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
        let token = format!("jwt-{number}-");
        assert_eq!([text(&process()), text(&process())], [&*token, &token]);
        assert_eq!(told.take(2), ["signed", "taken"], "{damaged:?}");
    }
    // If it cannot be replaced, that is what is told.
    let faulty = Faulty::default();
    faulty.breaks(Call::LoadHeld, How::Damaged);
    faulty.breaks(Call::Save, How::Fails);
    let tokens = told.of(coze.jwt::<D>().shared(faulty).unwrap());
    assert_eq!(text(&tokens), "jwt-4-");
    let said = told.take(2);
    assert!(said[0].contains("the store of grants failed"), "{said:?}");
    // What a newer release wrote is not replaced, and is no obstacle.
    std::fs::write(store.path(&key), r#"{"version":99}"#).unwrap();
    let tokens = told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    assert_eq!(text(&tokens), "jwt-5-");
    let said = told.take(2);
    assert!(said[0].contains("newer version"), "{said:?}");
    assert_eq!(
        std::fs::read(store.path(&key)).unwrap(),
        br#"{"version":99}"#
    );
}

fn who_waits_too_long_for_the_lock_signs_alone<D: Over>() {
    let (coze, told, store) = (Coze::within(TIMEOUT), Told::default(), MemoryStore::new());
    let key = GrantKey::jwt(coze.app().issuer(), &JwtGrant::new());
    let tokens = told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    let stopped = store.lock(&key, Duration::ZERO).unwrap();
    let began = Instant::now();
    assert_eq!(text(&tokens), "jwt-0-");
    assert!(began.elapsed() >= TIMEOUT, "{:?}", began.elapsed());
    assert!(began.elapsed() < GUARD, "{:?}", began.elapsed());
    let said = told.take(2);
    assert!(
        said[0].contains("another process or thread has been renewing"),
        "{said:?}"
    );
    drop(stopped);
    assert!(
        store.load(&key).unwrap().is_none(),
        "nor does it write without the lock"
    );
    coze.clock.pass(LIFE);
    assert_eq!(text(&tokens), "jwt-1-");
    assert_eq!(told.take(1), ["signed"]);
}

/// The lock goes with the failure.
fn a_failed_signature_lets_the_next_one_try<D: Over>() {
    let (coze, told, store) = (Coze::within(TIMEOUT), Told::default(), MemoryStore::new());
    let process = || told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    let (one, other) = (process(), process());
    coze.refuse(true);
    assert!(D::token(&one).is_err());
    coze.refuse(false);
    let began = Instant::now();
    assert_eq!(text(&other), "jwt-0-");
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(told.take(2), ["failed", "signed"]);
}

/// Else each of many whose tokens end at once would wait for it.
fn a_store_that_hangs_is_left_alone_for_half_a_minute<D: Over>() {
    let (coze, told, store) = (Coze::within(TIMEOUT), Told::default(), Faulty::default());
    let tokens = told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    store.breaks(Call::Load, How::Hangs(Signal::new()));
    text(&tokens);
    assert_eq!(store.calls(), [Call::Load]);
    for name in 0..100 {
        text(&tokens.session(&name.to_string()).unwrap());
    }
    assert_eq!(store.calls(), [], "it is asked no more");
    let said = told.take(202);
    let told_so = |said: &&String| said.contains("has not answered in 0.2 s");
    assert_eq!(said.iter().filter(told_so).count(), 101, "{said:?}");
    store.heals();
    coze.clock.pass(29);
    text(&tokens.session("early").unwrap());
    assert_eq!(store.calls(), []);
    coze.clock.pass(1);
    text(&tokens.session("in-time").unwrap());
    assert_eq!(store.calls().len(), 4);
    text(&tokens.session("again").unwrap());
    assert_eq!(store.calls().len(), 4, "it is well");
}

/// As Redis is that is away: each call fails after the time that a connection may take.
fn a_store_that_is_away_is_left_alone_for_half_a_minute<D: Over>() {
    let (coze, told) = (Coze::new(), Told::default());
    let store = Faulty::whose_lock_reads(true);
    let tokens = told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    for call in [Call::Lock, Call::Load] {
        store.breaks(call, How::FailsLate(coze.clock.clone(), 3));
    }
    for name in 0..100 {
        text(&tokens.session(&name.to_string()).unwrap());
    }
    assert_eq!(store.calls(), [Call::Lock], "it is asked once");
    let said = told.take(200);
    let told_so = |said: &&String| said.contains("the store of grants failed");
    assert_eq!(said.iter().filter(told_so).count(), 100, "{said:?}");
    store.heals();
    coze.clock.pass(30);
    text(&tokens.session("in-time").unwrap());
    assert_eq!(store.calls(), [Call::Lock, Call::LoadHeld, Call::Save]);
}

fn a_token_that_was_refused_is_not_taken_again<D: Over>() {
    let (coze, told, store) = (Coze::new(), Told::default(), MemoryStore::new());
    let process = || told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    let (one, other) = (process(), process());
    let refused = D::token(&one).unwrap();
    assert!(D::token(&other).unwrap().matches(&refused));
    one.invalidate(&refused);
    // Coze is out of order: it is not taken from the store in this plight either.
    coze.refuse(true);
    assert!(D::token(&one).is_err());
    coze.refuse(false);
    coze.clock.pass(60);
    assert_eq!(told.take(3), ["failed", "signed", "taken"]);
    assert_eq!(text(&one), "jwt-1-");
    assert_eq!(told.take(1), ["signed"]);
    // The other one finds what this one was given since.
    other.invalidate(&refused);
    assert_eq!(text(&other), "jwt-1-");
    assert_eq!(told.take(1), ["taken"]);
    assert_eq!(text(&process()), "jwt-1-");
}

/// A process that had to sign for itself has the newer token. What refuses that takes the older one no more; one of the same second
/// is not older.
fn an_older_token_than_the_refused_one_is_not_taken<D: Over>() {
    for (later, taken) in [(10, "jwt-2-"), (0, "jwt-0-")] {
        let (coze, store) = (Coze::new(), MemoryStore::new());
        let process = || coze.jwt::<D>().shared(store.clone()).unwrap();
        assert_eq!(text(&process()), "jwt-0-");
        coze.clock.pass(later);
        // One that may not look signs for itself.
        let alone = Faulty::default();
        alone.breaks(Call::Lock, How::Fails);
        let one = coze.jwt::<D>().shared(alone.clone()).unwrap();
        let newer = D::token(&one).unwrap();
        assert_eq!(newer.expose(), "jwt-1-");
        // It finds the store that the others have.
        let one = one.shared(store.clone()).unwrap();
        one.invalidate(&newer);
        assert_eq!(text(&one), taken);
        assert_eq!(text(&process()), taken, "and all have the newest");
    }
}

/// As a login's in a process that has not seen it yet.
fn a_stored_token_is_served_while_it_lasts<D: Over>() {
    let (coze, told, store) = (Coze::new(), Told::default(), MemoryStore::new());
    let process = || told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    text(&process());
    coze.clock.pass(LIFE - 30);
    coze.refuse(true);
    assert_eq!(text(&process()), "jwt-0-", "its renewal fails");
    coze.clock.pass(30);
    assert!(D::token(&process()).is_err(), "it has ended");
}

/// An hour ahead, a process is given a token that has ended by its clock. The others know better.
fn the_end_is_reckoned_by_the_servers_clock<D: Over>() {
    let (coze, told, store) = (Coze::new(), Told::default(), MemoryStore::new());
    let ahead = Passed::default();
    ahead.pass(3_600);
    let wrong = coze.on(ahead).jwt::<D>().shared(store.clone()).unwrap();
    assert_eq!(text(&wrong), "jwt-0-");
    assert_eq!(text(&wrong), "jwt-0-", "it is kept here, too");
    let key = GrantKey::jwt(coze.app().issuer(), &JwtGrant::new());
    let stored = store.load(&key).unwrap().unwrap();
    assert_eq!(stored.issued_at.as_secs(), START);
    assert_eq!(stored.expires_at.as_secs(), START + LIFE);
    let right = told.of(coze.jwt::<D>().shared(store.clone()).unwrap());
    assert_eq!(text(&right), "jwt-0-");
    assert_eq!(told.take(1), ["taken"]);
    // A minute before its end, as anybody else's.
    coze.clock.pass(LIFE - 60);
    assert_eq!(text(&right.clone().wait_when_stale()), "jwt-1-");
    assert_eq!(coze.signatures(), 2);
}

fn a_fresh_token_is_found_without_the_store<D: Over>() {
    let (coze, store) = (Coze::new(), Faulty::default());
    let tokens = coze.jwt::<D>().shared(store.clone()).unwrap();
    text(&tokens);
    store.calls();
    for _ in 0..1_000 {
        text(&tokens);
    }
    assert_eq!(store.calls(), []);
}

/// A login's would stay, and a server would have as many in memory as it has had users.
fn sessions_that_are_held_are_evicted_all_the_same<D: Over>() {
    let (coze, store) = (Coze::new(), MemoryStore::new());
    let tokens = coze.jwt::<D>().shared(store).unwrap().sessions_kept(10);
    let user = |number: usize| {
        let session = tokens.session(&number.to_string()).unwrap();
        text(&session);
        session
    };
    let held: Vec<_> = (0..200).map(user).collect();
    let kept = format!("{tokens:?}");
    assert!(kept.contains("kept: 10,"), "{kept}");
    assert_eq!(coze.signatures(), 200);
    // It is made anew, and finds its token in the store.
    assert_eq!(text(&tokens.session("0").unwrap()), "jwt-0-0");
    assert_eq!(coze.signatures(), 200);
    drop(held);
}

fn no_key_and_no_secret_is_in_the_store<D: Over>() {
    let folder = Folder::new("secrets");
    let store = FileStore::new(&folder.0).unwrap();
    let coze = Coze::new();
    let tokens = coze.jwt::<D>().shared(store.clone()).unwrap();
    text(&tokens);
    text(&tokens.session("alice").unwrap());
    text(&coze.workload::<D>().shared(store.clone()).unwrap());
    let mut all = String::new();
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        all += path.to_str().unwrap();
        all += &std::fs::read_to_string(path).unwrap();
    }
    for token in ["jwt-0-", "jwt-1-alice", "workload-2"] {
        assert!(all.contains(token), "{token} is not in {all}");
    }
    // Neither the secret nor what was made with it, nor its digest to guess at; nor what an assertion begins with.
    let key = GrantKey::workload(&workload_app());
    assert!(all.contains(key.subject()), "{all}");
    for secret in [CLIENT_SECRET, ID_TOKEN, SIGNATURE, "eyJ", "key-1"] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
}

fn a_login_and_a_token_of_the_console_are_not_shared<D: Over>() {
    let token = AccessToken::new("pat").unwrap();
    let fixed = TokenSource::<D>::fixed(&Coze::new(), &Endpoints::cn(), token);
    let app = coze_auth_tokens::core::device::DeviceApp::new(Endpoints::cn(), "app").unwrap();
    let login = TokenSource::<D>::stored(&Coze::new(), app, "alice", MemoryStore::new()).unwrap();
    for tokens in [fixed, login] {
        let error = tokens.shared(MemoryStore::new()).unwrap_err();
        assert!(matches!(error, Error::NothingToShare), "{error}");
        assert!(error.to_string().contains("JWT app"), "{error}");
    }
}

/// A folder of this test, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("coze-auth-sharing-{}-{number}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
