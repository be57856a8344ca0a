//! The sessions of a JWT app: which are kept, which are evicted, and what that costs.

mod steps;

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coze_auth_tokens::blocking::{Time, TokenSource, Transport};
use coze_auth_tokens::core::jwt::JwtGrant;
use coze_auth_tokens::core::{AccessToken, Flow as _, Now, Request, Response, Step};
use coze_auth_tokens::{Ask, Error, Next, Refresh, SendError, Sessions, Source};

use steps::{Passed, answer, ready};

const LIFE: u64 = 900;
const PATIENCE: Duration = Duration::from_secs(10);

/// A JWT app, its sessions, and a Coze that counts.
struct World {
    clock: Passed,
    root: Arc<Source>,
    sessions: Sessions,
    requests: AtomicU64,
}

impl World {
    fn keeping(sessions: Sessions) -> Self {
        let clock = Passed::default();
        Self {
            root: steps::jwt_source(&clock),
            clock,
            sessions,
            requests: AtomicU64::new(0),
        }
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    fn of(&self, name: &str) -> Arc<Source> {
        self.sessions.session(&self.root, name).unwrap()
    }

    /// Whether this source is the one that is kept. If it is not, another is made.
    fn keeps(&self, source: &Arc<Source>, name: &str) -> bool {
        Arc::ptr_eq(source, &self.of(name))
    }

    /// A token of this source, renewed if need be.
    fn token(&self, source: &Arc<Source>) -> AccessToken {
        loop {
            if let Some(token) = source.fresh(self.now().unix) {
                return token;
            }
            match source.caller().ask() {
                Ask::Token(token) => return token.access_token,
                Ask::First(refresh) | Ask::Behind(_, refresh) => self.carry_out(refresh),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Carries a renewal out: each request brings a token of its own.
    fn carry_out(&self, refresh: Refresh) {
        self.finish(ready(refresh.begin()), 200);
    }

    fn finish(&self, next: Next, status: u16) {
        let Next::Send(refresh, mut renewal) = next else {
            panic!("{next:?}");
        };
        assert!(matches!(renewal.step(self.now()), Step::Send(_)));
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let end = self.now().unix.as_secs() + LIFE;
        let body = match status {
            200 => format!(r#"{{"access_token":"token-{number}","expires_in":{end}}}"#),
            _ => r#"{"error_code":"access_denied"}"#.to_owned(),
        };
        renewal.receive(answer(status, &body), self.now());
        let Step::Done(result) = renewal.step(self.now()) else {
            panic!("a renewal is one request");
        };
        assert!(matches!(
            ready(refresh.received(result.map_err(Error::from))),
            Next::Done
        ));
    }

    /// A token of this name's session, as applications ask for it.
    fn ask(&self, name: &str) -> AccessToken {
        self.token(&self.of(name))
    }

    fn ask_all(&self, names: impl IntoIterator<Item = u64>) {
        for name in names {
            self.ask(&name.to_string());
        }
    }
}

/// A transport that counts, with a token for everybody.
#[derive(Clone, Default)]
struct Coze(Arc<(AtomicU64, Passed)>);

impl Coze {
    fn tokens(&self) -> TokenSource<Self> {
        TokenSource::jwt(self, steps::jwt_app(), JwtGrant::new())
    }

    fn requests(&self) -> u64 {
        self.0.0.load(Ordering::SeqCst)
    }
}

impl Transport for Coze {
    fn send(&self, _: Request) -> Result<Response, SendError> {
        let number = self.0.0.fetch_add(1, Ordering::SeqCst);
        let end = self.0.1.now().unix.as_secs() + LIFE;
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":{end}}}"#);
        Ok(answer(200, &body)?)
    }

    fn time(&self) -> &dyn Time {
        &self.0.1
    }
}

/// By `sessions_kept`, for the source, its clones and its sessions.
#[test]
fn a_source_keeps_as_many_as_it_is_told() {
    let coze = Coze::default();
    let tokens = coze.tokens().sessions_kept(2);
    let asked = |name| {
        let before = coze.requests();
        tokens.session(name).unwrap().token().unwrap();
        coze.requests() - before
    };
    for (name, requests) in [("a", 1), ("b", 1), ("a", 0), ("b", 0)] {
        assert_eq!(asked(name), requests, "{name}: there is room for two");
    }
    coze.0.1.pass(1);
    assert_eq!((asked("b"), asked("c")), (0, 1));
    assert_eq!(asked("b"), 0, "asked for later than a");
    assert_eq!(asked("a"), 1, "it was evicted");
    // A clone's, or a session's, is the same number.
    drop(tokens.session("b").unwrap().clone().sessions_kept(3));
    for (name, requests) in [("a", 0), ("b", 0), ("c", 1), ("a", 0), ("b", 0), ("c", 0)] {
        assert_eq!(asked(name), requests, "{name}: there is room for three");
    }
}

/// Threads count a source's handle apart, and still it goes with the last of them.
#[test]
fn nothing_is_left_of_a_source_when_its_last_session_is_gone() {
    let coze = Coze::default();
    let tokens = coze.tokens();
    let session = |name: u64| {
        let session = tokens.session(&name.to_string()).unwrap();
        session.token().unwrap();
        session.clone()
    };
    let mut sessions: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|name| scope.spawn(move || session(name)))
            .collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    drop(tokens);
    let last = sessions.pop().unwrap();
    drop(sessions);
    // It goes on, and so do sessions of it.
    last.session("0").unwrap().token().unwrap();
    assert_eq!(coze.requests(), 20);
    assert!(Arc::strong_count(&coze.0) > 1);
    drop(last);
    // A renewal that has just ended may not have let go yet.
    let begun = Instant::now();
    while Arc::strong_count(&coze.0) > 1 && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert_eq!(Arc::strong_count(&coze.0), 1, "something holds the source");
}

/// A thousand were kept once, and each of 1,100 in turn was a request then.
#[test]
fn each_of_many_is_asked_for_once() {
    let world = World::keeping(Sessions::new());
    for _ in 0..3 {
        world.ask_all(0..1_100);
    }
    assert_eq!(world.requests(), 1_100);
    let debug = format!("{:?}", world.sessions);
    assert_eq!(debug, "Sessions { kept: 1100, at_most: 100000 }");
}

#[test]
fn as_many_are_kept_as_was_said() {
    let world = World::keeping(Sessions::with_capacity(100));
    world.ask_all(0..100);
    world.ask_all(0..100);
    assert_eq!(world.requests(), 100, "there is room for them all");
    world.ask("one more");
    let debug = || format!("{:?}", world.sessions);
    assert_eq!(debug(), "Sessions { kept: 100, at_most: 100 }");
    world.ask_all(0..500);
    assert_eq!(debug(), "Sessions { kept: 100, at_most: 100 }");
    // One is room enough for one at a time.
    let world = World::keeping(Sessions::with_capacity(0));
    world.ask("a");
    world.ask("a");
    world.ask("b");
    assert_eq!(world.requests(), 2);
}

/// However long ago it was asked for, and however many come.
#[test]
fn a_fresh_one_is_not_evicted_while_one_is_there_that_has_ended() {
    let world = World::keeping(Sessions::with_capacity(300));
    world.ask_all(0..100);
    world.clock.pass(LIFE / 2);
    world.ask_all(100..300);
    // The first hundred end, and were asked for last.
    world.clock.pass(LIFE / 2 - 61);
    world.ask_all(0..100);
    assert_eq!(world.requests(), 300);
    world.clock.pass(61);
    world.ask_all(300..400);
    assert_eq!(world.requests(), 400);
    world.ask_all(100..400);
    assert_eq!(world.requests(), 400, "a fresh one was evicted");
    // They are evicted, and each is a request again.
    world.ask_all(0..1);
    assert_eq!(world.requests(), 401);
}

/// Who has no token at all takes nobody's place: Coze may refuse all of them.
#[test]
fn those_that_are_refused_evict_one_another() {
    let world = World::keeping(Sessions::with_capacity(100));
    world.ask_all(0..100);
    for name in 0..200 {
        let source = world.of(&format!("bad {name}"));
        let Ask::First(refresh) = source.caller().ask() else {
            panic!("it has no token");
        };
        world.finish(ready(refresh.begin()), 400);
    }
    let before = world.requests();
    world.ask_all(1..100);
    assert_eq!(world.requests(), before, "a fresh one was evicted");
}

#[test]
fn where_all_are_fresh_the_one_goes_that_was_asked_for_the_longest_ago() {
    let world = World::keeping(Sessions::with_capacity(3));
    world.ask_all(0..3);
    // By a call that does not look for a fresh one first, and by one that does.
    world.clock.pass(10);
    let asked = world.of("0").caller().ask();
    assert!(matches!(asked, Ask::Token(_)), "{asked:?}");
    world.clock.pass(10);
    world.ask("2");
    let before = world.requests();
    world.ask("new");
    world.ask_all([0, 2]);
    world.ask("new");
    assert_eq!(world.requests(), before + 1);
    world.ask("1");
    assert_eq!(world.requests(), before + 2, "it was evicted");
}

#[test]
fn what_is_evicted_while_its_renewal_runs_loses_nothing() {
    let world = World::keeping(Sessions::with_capacity(1));
    let held = world.of("a");
    let Ask::First(refresh) = held.caller().ask() else {
        panic!("it has no token");
    };
    let next = ready(refresh.begin());
    world.ask("b");
    world.clock.pass(1);
    world.ask("c");
    assert!(!world.keeps(&held, "a"), "evicted");
    let Ask::Wait(waiting, _) = held.caller().ask() else {
        panic!("its renewal runs");
    };
    world.finish(next, 200);
    waiting.signal().wait();
    assert!(held.fresh(world.now().unix).is_some());
}

/// One that is about to be asked, or whose token is on its way, is not made twice while another has ended.
#[test]
fn what_has_no_token_yet_does_not_go_before_what_has_ended() {
    let world = World::keeping(Sessions::with_capacity(3));
    let (new, renewed) = (world.of("new"), world.of("renewed"));
    let Ask::First(renewal) = renewed.caller().ask() else {
        panic!("it has no token");
    };
    world.ask("ended");
    world.clock.pass(LIFE);
    world.of("one more");
    assert!(world.keeps(&new, "new"));
    assert!(world.keeps(&renewed, "renewed"));
    drop(renewal);
}

#[test]
fn threads_that_ask_for_a_new_name_get_the_same_source() {
    const THREADS: usize = 8;
    for _ in 0..50 {
        let world = World::keeping(Sessions::with_capacity(1));
        world.ask("other");
        let start = Barrier::new(THREADS);
        let sources: Vec<_> = std::thread::scope(|scope| {
            let ask = || {
                start.wait();
                world.of("new")
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(sources.iter().all(|one| Arc::ptr_eq(one, &sources[0])));
    }
}

#[test]
fn one_that_was_closed_is_made_anew() {
    let world = World::keeping(Sessions::with_capacity(2));
    for name in ["with a token", "without"] {
        let closed = world.of(name);
        if name == "with a token" {
            world.token(&closed);
        }
        closed.close();
        let anew = world.of(name);
        assert!(!Arc::ptr_eq(&closed, &anew) && !anew.is_closed());
        assert!(world.keeps(&anew, name));
    }
    let debug = format!("{:?}", world.sessions);
    assert_eq!(debug, "Sessions { kept: 2, at_most: 2 }");
}

#[test]
fn with_their_source_they_are_all_closed() {
    let world = World::keeping(Sessions::new());
    let all: Vec<_> = (0..200).map(|name| world.of(&name.to_string())).collect();
    world.token(&all[0]);
    world.root.close();
    world.sessions.close();
    for source in all {
        assert!(source.is_closed());
        assert!(source.fresh(world.now().unix).is_none());
    }
    for name in ["0", "another"] {
        let refused = world.sessions.session(&world.root, name);
        assert!(matches!(refused, Err(Error::Closed)));
    }
    assert!(format!("{:?}", world.sessions).contains("kept: 0"));
}

/// A close that comes while sessions are asked for leaves none open.
#[test]
fn none_is_left_open_by_a_close_in_between() {
    for _ in 0..200 {
        let world = World::keeping(Sessions::new());
        let start = Barrier::new(2);
        let made = std::thread::scope(|scope| {
            let asks = scope.spawn(|| {
                start.wait();
                (0..20)
                    .map_while(|name| world.sessions.session(&world.root, &name.to_string()).ok())
                    .collect::<Vec<_>>()
            });
            start.wait();
            world.root.close();
            world.sessions.close();
            asks.join().unwrap()
        });
        assert!(made.iter().all(|source| source.is_closed()));
    }
}

#[test]
fn sessions_are_a_jwt_apps_and_have_names() {
    let world = World::keeping(Sessions::new());
    let session = |like, name| world.sessions.session(like, name);
    assert!(session(&world.root, "").is_err());
    assert!(session(&world.root, "a\nb").is_err());
    let token = AccessToken::new("pat_1").unwrap();
    let fixed = Source::fixed(token, Duration::from_secs(30), world.clock.reader());
    assert!(matches!(session(&fixed, "0"), Err(Error::NotAJwtApp)));
    // A session's session is one of the same source.
    let one = world.of("one");
    assert!(Arc::ptr_eq(
        &session(&one, "two").unwrap(),
        &world.of("two")
    ));
}
