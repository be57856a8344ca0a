//! Tokens of a JWT app or a workload that a fleet of processes shares, over real sockets.

use std::cell::Cell;

use coze_auth_conformance::{Fixture, SharedClock};
use coze_auth_core::AccessToken;
use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::workload::Lane;
use coze_auth_mock::{At, Fault, On};
use coze_auth_store::{FileStore, GrantKey, GrantStore, MemoryStore};

use crate::over_each;
use crate::platform::Platform;
use crate::stores::{Folder, Full};
use crate::support::{EARLY, LIFE, RawSocket, while_held};
use crate::transports::Tokens;

over_each! {
    a_token_is_taken_up_by_the_next_process,
    two_processes_make_one_request,
    a_fleet_makes_one_request_for_each_life,
    a_fleet_of_workloads_makes_one_pair_of_requests_for_each_life,
    a_token_that_is_refused_is_replaced_for_all,
    a_token_that_cannot_be_stored_is_served,
    a_session_of_each_user_is_shared,
}

/// A JWT app of which many processes have the tokens.
struct Fleet<S> {
    fixture: Fixture<RawSocket>,
    store: S,
}

impl<S: GrantStore + Clone + 'static> Fleet<S> {
    fn over(store: S) -> Self {
        let fixture = Fixture::new();
        Self { fixture, store }
    }

    fn process<T: Tokens>(&self) -> T {
        let tokens = T::jwt(&self.fixture.clock, self.fixture.jwt(), JwtGrant::new());
        tokens.shared(self.store.clone())
    }

    fn key(&self) -> GrantKey {
        GrantKey::jwt(self.fixture.jwt().issuer(), &JwtGrant::new())
    }

    /// How many tokens the app was granted.
    fn grants(&self) -> usize {
        let all = self.fixture.mock.requests();
        let granted = all.iter().filter(|entry| entry.issued.is_some());
        granted.count()
    }
}

fn a_token_is_taken_up_by_the_next_process<T: Tokens>() {
    let fleet = Fleet::over(MemoryStore::new());
    let first = fleet.process::<T>().token().expect("a token");
    fleet.fixture.prove_token(&first);
    let next = fleet.process::<T>().token().expect("a token");
    assert!(next.matches(&first));
    assert_eq!(fleet.grants(), 1, "without another request");
    fleet.fixture.clock.advance(LIFE);
    let renewed = fleet.process::<T>().token().expect("a token");
    fleet.fixture.prove_token(&renewed);
    assert!(!renewed.matches(&first));
    let next = fleet.process::<T>().token().expect("a token");
    assert!(next.matches(&renewed));
    assert_eq!(fleet.grants(), 2, "when it has ended, one");
}

fn two_processes_make_one_request<T: Tokens>() {
    let fleet = Fleet::over(MemoryStore::new());
    let (one, other) = (fleet.process::<T>(), fleet.process::<T>());
    let of_key = On::grant("jwt_bearer");
    let gate = fleet.fixture.mock.gate("jwt", of_key, At::Request);
    let (first, second) = while_held(
        gate,
        move || one.token().expect("a token"),
        |_| std::thread::spawn(move || other.token().expect("a token")),
    );
    assert!(first.matches(&second.join().expect("it ends")));
    assert_eq!(fleet.grants(), 1);
}

const PROCESSES: usize = 8;
const CALLERS: usize = 4;
const LIVES: usize = 50;

/// All callers of all processes ask at once, in each life; `requests` is how many there were then.
fn lives<T: Tokens>(fleet: &[T], clock: &SharedClock, requests: impl Fn() -> usize, each: usize) {
    let all = fleet.iter().flat_map(|process| [process; CALLERS]);
    let all: Vec<&T> = all.collect();
    for life in 1..=LIVES {
        let tokens: Vec<AccessToken> = std::thread::scope(|scope| {
            let ask = |process: &&T| {
                let process = (*process).clone();
                scope.spawn(move || process.token().expect("a token"))
            };
            let callers: Vec<_> = all.iter().map(ask).collect();
            let ended = callers.into_iter().map(|caller| caller.join());
            ended.map(|token| token.expect("it ends")).collect()
        });
        assert!(tokens.iter().all(|token| token.matches(&tokens[0])));
        assert_eq!(requests(), life * each, "in life {life}");
        // Once it has ended, and once it is to be renewed.
        clock.advance(if life % 2 == 0 {
            LIFE
        } else {
            LIFE - EARLY / 2
        });
    }
}

fn a_fleet_makes_one_request_for_each_life<T: Tokens>() {
    let fleet = Fleet::over(MemoryStore::new());
    let processes = || fleet.process::<T>().wait_when_stale();
    let processes: Vec<T> = std::iter::repeat_with(processes).take(PROCESSES).collect();
    lives(&processes, &fleet.fixture.clock, || fleet.grants(), 1);
}

fn a_fleet_of_workloads_makes_one_pair_of_requests_for_each_life<T: Tokens>() {
    let (platform, clock) = (Platform::new(LIFE.as_secs()), SharedClock::new());
    let (store, saw) = (MemoryStore::new(), Cell::new(0));
    let process = || T::workload(&clock, platform.app("w", "s")).shared(store.clone());
    let processes = || process().wait_when_stale();
    let processes: Vec<T> = std::iter::repeat_with(processes).take(PROCESSES).collect();
    let requests = || {
        saw.set(saw.get() + platform.saw().len());
        saw.get()
    };
    lives(&processes, &clock, requests, 2);
    // Another lane is another identity, and takes nothing of theirs.
    let lane = Lane::new("ppe_x").expect("a lane");
    let other = T::workload(&clock, platform.app("w", "s").with_lane(lane));
    other.shared(store.clone()).token().expect("a token");
    assert_eq!(platform.saw().len(), 2);
}

/// By a code under 200, as Coze may say it (protocol §4.4): it is not taken from the store again, and all that was there
/// before, damaged or not, is replaced.
fn a_token_that_is_refused_is_replaced_for_all<T: Tokens>() {
    let folder = Folder::new(&format!("jwt{}", std::any::type_name::<T>()));
    let store = FileStore::new(&folder.0).expect("a folder");
    let fleet = Fleet::over(store.clone());
    let other = fleet.process::<T>();
    let refused = other.token().expect("a token");
    let tokens = fleet.process::<T>();
    let fault = Fault::status(200).header("content-type", "application/json");
    let fault = fault.body(r#"{"code":700012006,"msg":"access token invalid"}"#);
    let mock = &fleet.fixture.mock;
    let _twice = mock.fault(On::endpoint("users_me"), fault.times(2));
    let url = format!("{}/v1/users/me", mock.base_url());
    let (status, body) = tokens.send("GET", &url, false).expect("an answer");
    // The second fault is the new token's, which is not replaced so soon: the answer is handed on.
    assert!(status == 200 && body.contains("700012006"), "{body}");
    assert_eq!(fleet.grants(), 2);
    let renewed = fleet.process::<T>().token().expect("a token");
    assert!(!renewed.matches(&refused));
    // Who is refused the old one later takes the new one, without a signature.
    other.invalidate(&refused);
    assert!(other.token().expect("a token").matches(&renewed));
    assert_eq!(fleet.grants(), 2);

    std::fs::write(store.path(&fleet.key()), "{").expect("damaged");
    let renewed = fleet.process::<T>().token().expect("a token");
    fleet.fixture.prove_token(&renewed);
    assert_eq!(fleet.grants(), 3);
    let next = fleet.process::<T>().token().expect("a token");
    assert!(next.matches(&renewed), "it was replaced");
}

fn a_token_that_cannot_be_stored_is_served<T: Tokens>() {
    let full = Full::over(MemoryStore::new());
    let fleet = Fleet::over(full.clone());
    let tokens = fleet.process::<T>();
    full.fail(1);
    let own = tokens.token().expect("served, and not stored");
    fleet.fixture.prove_token(&own);
    assert!(tokens.token().expect("kept").matches(&own));
    assert!(full.load(&fleet.key()).expect("it can be read").is_none());
    tokens.close().expect("nothing is lost");
    let next = fleet.process::<T>().token().expect("a token");
    assert_eq!(fleet.grants(), 2, "it asks for itself");
    let last = fleet.process::<T>().token().expect("a token");
    assert!(last.matches(&next), "the store is well again");
}

fn a_session_of_each_user_is_shared<T: Tokens>() {
    let fleet = Fleet::over(MemoryStore::new());
    let (one, other) = (fleet.process::<T>(), fleet.process::<T>());
    let token = |tokens: &T, user: &str| {
        let session = tokens.session(user).expect("a session");
        session.token().expect("a token")
    };
    let own = one.token().expect("a token");
    let (alice, bob) = (token(&one, "alice"), token(&one, "bob"));
    assert!(!alice.matches(&own) && !bob.matches(&own) && !alice.matches(&bob));
    assert!(token(&other, "alice").matches(&alice));
    assert!(token(&other, "bob").matches(&bob));
    assert!(other.token().expect("a token").matches(&own));
    assert_eq!(fleet.grants(), 3);
    let of_bob = JwtGrant::new().session_name("bob").expect("a name");
    let key = GrantKey::jwt(fleet.fixture.jwt().issuer(), &of_bob);
    let stored = fleet.store.load(&key);
    let stored = stored.expect("it can be read").expect("it is there");
    assert!(stored.access_token.matches(&bob));
}
