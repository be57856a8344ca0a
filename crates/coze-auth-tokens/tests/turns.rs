//! How many renewals of one app run at once, and who waits for a turn.

mod steps;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use coze_auth_tokens::core::{Flow as _, Now, Retry, Step};
use coze_auth_tokens::{Ask, Caller, Error, Next, Refresh, Sessions, Source, Waiting};

use steps::{Passed, answer, ready};

const LIFE: u64 = 900;
/// How long a renewal may take, and how long its turn counts.
const LEASE: Duration = Duration::from_secs(200);

/// A JWT app with many sessions, of whose renewals few run at once.
struct World {
    clock: Passed,
    root: Arc<Source>,
    sessions: Sessions,
}

impl World {
    fn with(at_once: usize) -> Self {
        let world = Self::default();
        world.root.set_renewals_at_once(at_once);
        world
    }

    fn default() -> Self {
        let clock = Passed::default();
        Self {
            root: steps::jwt_source(&clock),
            clock,
            sessions: Sessions::new(),
        }
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn of(&self, name: &str) -> Arc<Source> {
        self.sessions.session(&self.root, name).unwrap()
    }

    /// A renewal of this session, which has a turn.
    fn first(&self, name: &str) -> Refresh {
        match self.of(name).caller().ask() {
            Ask::First(refresh) => refresh,
            other => panic!("{other:?}"),
        }
    }

    /// A caller of this session that has to wait.
    fn waits(&self, name: &str) -> Box<Waits> {
        match ask(self.of(name).caller()) {
            Ok(told) => panic!("{told:?}"),
            Err(waits) => waits,
        }
    }

    fn grant(&self, refresh: Refresh) {
        self.finish(refresh, 200);
    }

    fn finish(&self, refresh: Refresh, status: u16) {
        let Next::Send(refresh, mut renewal) = ready(refresh.begin()) else {
            panic!("a JWT grant is a request");
        };
        assert!(matches!(renewal.step(self.now()), Step::Send(_)));
        let end = self.now().unix.as_secs() + LIFE;
        let body = match status {
            200 => format!(r#"{{"access_token":"token","expires_in":{end}}}"#),
            _ => r#"{"error_code":"access_denied"}"#.to_owned(),
        };
        renewal.receive(answer(status, &body), self.now());
        let Step::Done(result) = renewal.step(self.now()) else {
            panic!("a renewal is one request");
        };
        let next = ready(refresh.received(result.map_err(Error::from)));
        assert!(matches!(next, Next::Done));
    }
}

/// A caller that waits.
struct Waits {
    caller: Caller,
    waiting: Waiting,
    at_most: Duration,
}

/// What a caller is told, if it does not have to wait.
fn ask(mut caller: Caller) -> Result<Ask, Box<Waits>> {
    match caller.ask() {
        Ask::Wait(waiting, at_most) => Err(Box::new(Waits {
            caller,
            waiting,
            at_most,
        })),
        told => Ok(told),
    }
}

impl Waits {
    fn is_woken(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.waiting).poll(&mut context).is_ready()
    }

    /// Asks again, since it has waited for as long as it was told to.
    fn again(self) -> Result<Ask, Box<Self>> {
        ask(self.caller)
    }

    /// The renewal for which it is called when it looks itself.
    fn called_now(mut self) -> Refresh {
        assert!(!self.is_woken(), "called before");
        match self.again() {
            Ok(Ask::First(refresh)) => refresh,
            other => panic!("{:?}", other.ok()),
        }
    }

    /// The renewal for which it was called.
    fn called(mut self) -> Refresh {
        assert!(self.is_woken(), "not called");
        match self.again() {
            Ok(Ask::First(refresh)) => refresh,
            other => panic!("{:?}", other.ok()),
        }
    }
}

/// Two thousand tokens end at once, and two callers ask for each. A renewal takes as long as a request may.
#[test]
fn each_of_many_that_end_at_once_is_renewed_once_and_few_at_a_time() {
    const MANY: usize = 2_000;
    let world = World::default();
    for name in 0..MANY {
        world.grant(world.first(&name.to_string()));
    }
    world.clock.pass(LIFE);
    let (mut running, mut waiting, mut order, mut served) = (VecDeque::new(), vec![], vec![], 0);
    for name in 0..MANY {
        let source = world.of(&name.to_string());
        for _ in 0..2 {
            match ask(source.caller()) {
                Ok(Ask::First(refresh)) => running.push_back((name, refresh)),
                Ok(other) => panic!("{other:?}"),
                Err(waits) => waiting.push((name, waits)),
            }
        }
    }
    assert_eq!(running.len(), 64);
    let begun = world.now().steady;
    while let Some((name, refresh)) = running.pop_front() {
        // As many as run at once end every 30 s.
        if order.len() % 64 == 0 {
            world.clock.pass(30);
        }
        order.push(name);
        world.grant(refresh);
        // Whoever can have been called stands in front.
        let behind = waiting.split_off(waiting.len().min(200));
        let mut still = vec![];
        for (name, mut waits) in std::mem::replace(&mut waiting, behind) {
            let told = match waits.is_woken() {
                true => waits.again(),
                false => Err(waits),
            };
            match told {
                Ok(Ask::First(refresh)) => running.push_back((name, refresh)),
                Ok(Ask::Token(_)) => served += 1,
                Ok(other) => panic!("{other:?}"),
                Err(waits) => still.push((name, waits)),
            }
        }
        waiting.splice(..0, still);
        assert!(running.len() <= 64, "{} at once", running.len());
    }
    assert!(waiting.is_empty(), "{} wait for ever", waiting.len());
    assert!(order.into_iter().eq(0..MANY), "each once, in their order");
    assert_eq!(served, MANY, "the others have what was renewed for them");
    let passed = begun.until(world.now().steady);
    assert!(passed > 4 * LEASE, "nobody was told that it took too long");
}

#[test]
fn many_callers_of_one_source_have_one_turn() {
    let world = World::with(2);
    let a = world.first("a");
    let others = [world.waits("a"), world.waits("a")];
    let b = world.first("b");
    let [one, two] = [world.waits("c"), world.waits("c")];
    let last = world.waits("d");
    world.grant(a);
    drop(others);
    let c = one.called();
    world.grant(b);
    // The other caller's source has its turn already.
    drop(last.called());
    world.grant(c);
    assert!(matches!(two.again(), Ok(Ask::Token(_))));
}

#[test]
fn a_token_that_is_good_is_served_without_a_turn() {
    let world = World::with(1);
    world.grant(world.first("a"));
    world.clock.pass(LIFE - 30);
    let running = world.first("b");
    let caller = || world.of("a").caller();
    assert!(matches!(ask(caller()), Ok(Ask::Token(_))), "it waits");
    // A caller that is not content with it has a place in the queue.
    let lasting = caller().valid_for_at_least(Duration::from_secs(60));
    let mut lasting = ask(lasting).unwrap_err();
    assert!(!lasting.is_woken());
    let waits = ask(caller().wait_when_stale(true)).unwrap_err();
    drop(running);
    drop(waits.called());
    assert!(lasting.is_woken());
}

/// A web server's request is given up after some seconds, and the next one takes its place in the queue.
#[test]
fn a_source_keeps_its_place_while_any_of_its_callers_waits() {
    let world = World::with(1);
    let running = world.first("a");
    let first = world.waits("b");
    let other = world.waits("c");
    let mut second = world.waits("b");
    drop(first);
    assert!(!second.is_woken());
    drop(running);
    world.grant(second.called());
    drop(other.called());
}

#[test]
fn a_source_that_nobody_waits_for_any_more_has_no_turn() {
    let world = World::with(1);
    let running = world.first("a");
    let (gone, waits) = (world.waits("b"), world.waits("c"));
    drop(gone);
    drop(running);
    drop(waits.called());
    // Nor one that was called, and whose caller goes away before it has asked again.
    let running = world.first("d");
    let (mut gone, waits) = (world.waits("e"), world.waits("f"));
    drop(running);
    assert!(gone.is_woken());
    drop(gone);
    drop(waits.called());
    drop(world.first("g"));
}

#[test]
fn a_renewal_that_fails_or_is_dropped_gives_its_turn_back() {
    let world = World::with(1);
    for end in [
        (|world, refresh| World::finish(world, refresh, 400)) as fn(&World, Refresh),
        |_, refresh| drop(refresh),
    ] {
        let running = world.first("a");
        let waits = world.waits("b");
        end(&world, running);
        drop(waits.called());
        world.clock.pass(60);
    }
}

/// As long as its lease; and when it ends after all, there are no more turns than before.
#[test]
fn a_renewal_that_hangs_has_a_turn_for_its_lease() {
    let world = World::with(1);
    let hangs = world.first("a");
    world.clock.pass(150);
    let (mut one, two) = (world.waits("b"), world.waits("c"));
    assert_eq!(one.at_most, Duration::from_secs(50));
    world.clock.pass(49);
    one = one.again().unwrap_err();
    world.clock.pass(1);
    // Whoever looks first calls the first.
    let two = two.again().unwrap_err();
    let running = one.called();
    drop(hangs);
    let mut two = two.again().unwrap_err();
    assert!(!two.is_woken(), "two at once");
    world.grant(running);
    drop(two.called());
}

/// A future that is kept and not polled.
#[test]
fn a_caller_that_does_not_come_when_it_is_called_holds_nobody_up_for_ever() {
    let world = World::with(1);
    let running = world.first("a");
    let (mut sleeps, waits) = (world.waits("b"), world.waits("c"));
    drop(running);
    assert!(sleeps.is_woken());
    world.clock.pass(200);
    let running = waits.called_now();
    // It comes late, and has another place.
    let sleeps = sleeps.again().unwrap_err();
    drop(running);
    drop(sleeps.called());
}

/// The lease of a renewal counts from when it begins, not from when it was called.
#[test]
fn who_was_called_has_the_whole_lease() {
    let world = World::with(1);
    let running = world.first("a");
    let (waits, other) = (world.waits("b"), world.waits("c"));
    drop(running);
    world.clock.pass(150);
    let running = waits.called();
    world.clock.pass(199);
    let other = other.again().unwrap_err();
    world.clock.pass(1);
    drop(other.called_now());
    drop(running);
}

/// A queue that moves is waited in for as long as it takes; one in which nothing comes to a result is not.
#[test]
fn who_waits_while_nothing_comes_to_a_result_is_told() {
    let world = World::with(1);
    let mut running = world.first("0");
    let mut queue: VecDeque<_> = (1..7).map(|name| world.waits(&name.to_string())).collect();
    let mut last = world.waits("last");
    let again = |queue: VecDeque<Box<Waits>>| {
        let waits = queue.into_iter().map(|waits| waits.again().unwrap_err());
        waits.collect::<VecDeque<_>>()
    };
    for status in [200, 400, 200, 400] {
        world.clock.pass(150);
        last = last.again().unwrap_err();
        world.finish(running, status);
        running = queue.pop_front().unwrap().called();
        queue = again(queue);
    }
    let mut hang = vec![running];
    for _ in 0..2 {
        world.clock.pass(199);
        last = last.again().unwrap_err();
        assert_eq!(last.at_most, Duration::from_secs(1));
        world.clock.pass(1);
        hang.push(queue.pop_front().unwrap().called_now());
    }
    let Ok(Ask::Failed(error @ Error::NoTurn { waited })) = last.again() else {
        panic!("it waits on");
    };
    assert_eq!(waited, Duration::from_secs(4 * 150 + 2 * 200));
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(1)));
    let text = error.to_string();
    assert!(
        text.starts_with("it was not this token's turn to be renewed in 1000 s: "),
        "{text}"
    );
    // It gave its place up.
    drop(hang);
    drop(world.first("last"));
}

/// A caller whose renewal begins at last has not waited for that: it may be lost, and taken over, as any other.
#[test]
fn what_a_caller_waits_for_its_turn_is_not_waited_for_its_renewal() {
    let world = World::with(1);
    let mut running = world.first("0");
    let mut queue: VecDeque<_> = (1..4).map(|name| world.waits(&name.to_string())).collect();
    let [one, mut two] = [world.waits("last"), world.waits("last")];
    for _ in 0..4 {
        world.clock.pass(150);
        world.grant(running);
        let Some(next) = queue.pop_front() else {
            break;
        };
        running = next.called();
    }
    let lost = one.called();
    two = two.again().unwrap_err();
    world.clock.pass(200);
    let Ok(Ask::First(refresh)) = two.again() else {
        panic!("its lease is over");
    };
    world.grant(refresh);
    drop(lost);
}

#[test]
fn more_at_once_are_called_when_they_may() {
    let world = World::with(0);
    let running = world.first("a");
    let waits = [world.waits("b"), world.waits("c"), world.waits("d")];
    world.of("a").set_renewals_at_once(3);
    let [b, c, mut d] = waits;
    let renewals = [running, b.called(), c.called()];
    assert!(!d.is_woken());
    // Fewer: those that run end first.
    world.root.set_renewals_at_once(1);
    let [a, b, c] = renewals;
    drop((a, b));
    assert!(!d.is_woken());
    drop(c);
    drop(d.called());
}

#[test]
fn who_waits_for_a_turn_is_told_that_the_source_is_closed() {
    let world = World::with(1);
    let running = world.first("a");
    let (mut waits, other) = (world.waits("b"), world.waits("c"));
    world.of("b").close();
    assert!(waits.is_woken());
    assert!(matches!(waits.again(), Ok(Ask::Failed(Error::Closed))));
    drop(running);
    drop(other.called());
}
