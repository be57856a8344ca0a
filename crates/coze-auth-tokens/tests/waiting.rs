//! Those who wait for a renewal: who wakes them, and what their wakers may do.

mod steps;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use coze_auth_store::MemoryStore;
use coze_auth_tokens::{Ask, Error, Next, Refresh, Source, Waiting};

use steps::{LIFE, World, granted, invalid_grant, ready};

/// A world in which somebody renews an ended token.
fn busy() -> (World, Next) {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.pass(LIFE);
    let next = world.begin();
    (world, next)
}

fn wait(world: &World) -> Waiting {
    match world.ask() {
        Ask::Wait(waiting, _) => waiting,
        other => panic!("{other:?}"),
    }
}

fn poll(waiting: &mut Waiting, waker: &Waker) -> Poll<()> {
    Pin::new(waiting).poll(&mut Context::from_waker(waker))
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Ten thousand requests that were refused with one token say so ten thousand times, while those whose turn came
/// first wait for the renewal. Nobody who waits could do anything about it.
#[test]
fn a_refused_token_wakes_nobody_who_waits() {
    let (world, next) = busy();
    let old = steps::grant(0).access_token;
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut waiting = wait(&world);
    assert_eq!(poll(&mut waiting, &waker), Poll::Pending);
    for _ in 0..3 {
        world.source.invalidate(&old);
    }
    assert_eq!(count.0.load(Ordering::SeqCst), 0, "woken for nothing");
    assert_eq!(poll(&mut waiting, &waker), Poll::Pending);
    drop(world.go_on(next, |_| granted(1)));
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "woken by its end, once");
    assert_eq!(poll(&mut waiting, &waker), Poll::Ready(()));
    assert_eq!(world.token().expose(), "access-1");
}

/// Whatever ends a renewal or the need of it.
#[test]
fn whoever_waits_is_woken_by_a_failure_a_login_a_logout_and_the_end() {
    type End = fn(&World, &mut Option<Refresh>);
    let ends: [(&str, End); 5] = [
        ("failure", |world, refresh| {
            let next = ready(refresh.take().unwrap().begin());
            drop(world.go_on(next, |_| invalid_grant()));
        }),
        ("dropped", |_, refresh| drop(refresh.take())),
        ("login", |world, _| world.install(1)),
        ("logout", |world, _| world.forget()),
        ("close", |world, _| world.source.close()),
    ];
    for (name, end) in ends {
        let world = World::over(MemoryStore::new());
        world.install(0);
        world.pass(LIFE);
        let mut refresh = Some(world.first());
        let (stays, leaves) = (wait(&world), wait(&world));
        let (signal, unheard) = (stays.signal(), leaves.signal());
        drop(leaves);
        assert!(!signal.is_set(), "{name}");
        end(&world, &mut refresh);
        assert!(signal.is_set(), "{name}");
        assert!(!unheard.is_set(), "{name}: who left is not called");
        assert!(stays.signal().is_set(), "{name}: over is over");
    }
}

/// A waker's end may be a task's end, and with it that of whatever the task holds: another place in this queue.
#[test]
fn a_waker_that_calls_back_when_it_is_dropped_does_not_hang() {
    struct CallsBack(Arc<Source>);
    impl Wake for CallsBack {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for CallsBack {
        fn drop(&mut self) {
            assert!(self.0.running().is_some());
        }
    }
    let (world, next) = busy();
    let mut waiting = wait(&world);
    let (done, is_done) = std::sync::mpsc::channel();
    // On a thread of its own: it would hang under a lock that it has itself.
    let thread = std::thread::spawn(move || {
        let first = Waker::from(Arc::new(CallsBack(world.source.clone())));
        assert_eq!(poll(&mut waiting, &first), Poll::Pending);
        drop(first);
        let second = Waker::from(Arc::new(Count::default()));
        assert_eq!(poll(&mut waiting, &second), Poll::Pending);
        done.send(()).unwrap();
        drop(next);
    });
    let ended = is_done.recv_timeout(std::time::Duration::from_secs(10));
    assert!(ended.is_ok(), "it hangs");
    thread.join().unwrap();
}

/// A renewal that does not come to its end is given up for all who have waited for it, whenever they come to look.
#[test]
fn whoever_waited_for_a_renewal_that_hangs_is_told_so() {
    let (world, hangs) = busy();
    let mut callers = [world.source.caller(), world.source.caller()];
    for caller in &mut callers {
        let asked = caller.ask();
        assert!(matches!(asked, Ask::Wait(..)), "{asked:?}");
    }
    // Two leases, and then more than a pause.
    world.pass(1_000);
    for caller in &mut callers {
        let asked = caller.ask();
        assert!(
            matches!(asked, Ask::Failed(Error::TimedOut { .. })),
            "{asked:?}"
        );
        world.pass(61);
    }
    drop(hangs);
}
