//! The open connections of a mock: at most so many, and each with a time limit on what it keeps the mock waiting for.
//!
//! A thread looks at them, since the caller's runtime may have no timer or a paused one, and it keeps the time that
//! requests read, so that none asks the system for it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::limits::{
    FAREWELL, MAX_ANSWER_TIME, MAX_BODIES, MAX_BODY_TIME, MAX_CONNECTIONS, MAX_HANDSHAKE_TIME,
    MAX_HEAD, MAX_HEAD_TIME, MAX_IDLE_TIME, MAX_UNTAKEN, UNTAKEN,
};

/// How many connections a mock has, and how long it waits for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections: usize,
    /// For the TLS handshake.
    pub(crate) handshake: Duration,
    /// For the head of a request: of the first one from the beginning of the connection, of others from its first byte.
    pub(crate) head: Duration,
    /// For the body of a request.
    pub(crate) body: Duration,
    /// For the client to take something of an answer that is there for it.
    pub(crate) answer: Duration,
    /// For the next request of a connection.
    pub(crate) idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            handshake: MAX_HANDSHAKE_TIME,
            head: MAX_HEAD_TIME,
            body: MAX_BODY_TIME,
            answer: MAX_ANSWER_TIME,
            idle: MAX_IDLE_TIME,
        }
    }
}

impl ConnectionLimits {
    fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Handshake => self.handshake,
            Phase::First | Phase::Head => self.head,
            Phase::Idle => self.idle,
            Phase::Farewell => FAREWELL,
            Phase::Answer => self.answer,
        }
    }

    /// How often the thread looks.
    fn step(&self) -> Duration {
        let all = [self.handshake, self.head, self.body, self.answer, self.idle];
        let least = all.into_iter().min().unwrap_or_default();
        (least / 8).clamp(Duration::from_millis(5), Duration::from_millis(500))
    }
}

/// What the mock waits for; all but [`Answer`](Self::Answer) while none of the connection's requests is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Handshake,
    /// The first request.
    First,
    /// The rest of a head.
    Head,
    /// Another request.
    Idle,
    /// The client's end of a connection whose own end a fault has closed.
    Farewell,
    /// The client, which takes nothing of an answer that is there for it.
    Answer,
}

const PHASES: [Phase; 6] = [
    Phase::Handshake,
    Phase::First,
    Phase::Head,
    Phase::Idle,
    Phase::Farewell,
    Phase::Answer,
];

#[derive(Debug)]
struct Shared {
    limits: ConnectionLimits,
    began: Instant,
    /// Milliseconds since `began` when the thread looked last.
    now: AtomicU64,
    table: Mutex<Table>,
    /// For the thread: there is something to look at, or the mock has ended.
    work: Condvar,
    /// For those who accept connections: one has ended, or time has passed.
    room: Notify,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<u64, Arc<Connection>>,
    /// The bodies that have kept a request waiting, the oldest first.
    bodies: BTreeMap<u64, Arc<Waiting>>,
    /// The bytes of those bodies, and of the heads before them.
    held: usize,
    next: u64,
    has_thread: bool,
    /// How many accept loops wait for room.
    without_room: usize,
    ended: bool,
}

/// The open connections of a mock. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Connections(Arc<Shared>);

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.table().ended = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn look_at_the_clock(&self) -> u64 {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.store(now, Ordering::Relaxed);
        now
    }

    fn watch(&self) {
        let step = self.limits.step();
        let mut next = Instant::now() + step;
        let mut table = self.table();
        while !table.ended {
            if table.open.is_empty() && table.without_room == 0 {
                table = self
                    .work
                    .wait(table)
                    .unwrap_or_else(PoisonError::into_inner);
                next = Instant::now() + step;
                continue;
            }
            let left = next.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                let waited = self.work.wait_timeout(table, left);
                table = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            next = Instant::now() + step;
            let now = self.look_at_the_clock();
            table.end_late(&self.limits, now);
            if table.without_room > 0 {
                self.room.notify_waiters();
            }
        }
    }
}

impl Table {
    fn end_late(&self, limits: &ConnectionLimits, now: u64) {
        let is_over =
            |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) > limit.as_millis();
        for connection in self.open.values() {
            let (phase, since) = connection.state();
            let is_silent = connection.requests() == 0 || phase == Phase::Farewell;
            if is_silent && is_over(since, limits.of(phase)) {
                connection.end(phase);
            }
        }
        let untaken = self.open.values().filter_map(|connection| {
            let since = connection.untaken_since()?;
            is_over(since, UNTAKEN.min(limits.answer)).then_some((since, connection))
        });
        let mut untaken: Vec<_> = untaken.collect();
        untaken.sort_unstable_by_key(|(since, _)| *since);
        let bytes = untaken
            .iter()
            .map(|(_, connection)| connection.untaken_bytes());
        let mut bytes: usize = bytes.sum();
        for (since, connection) in untaken {
            if bytes > MAX_UNTAKEN || is_over(since, limits.answer) {
                bytes -= connection.untaken_bytes().min(bytes);
                connection.end(Phase::Answer);
            }
        }
        for body in self.bodies.values() {
            if is_over(body.since, limits.body) {
                body.end(Late::Time(limits.body));
            }
        }
    }

    /// Ends the connection that has kept the mock waiting for longest. While most have had no request so far, it is some of
    /// those, so that the others are kept; else it is one of the others, since what is new is about to have its first.
    fn evict(&self) -> bool {
        if self.open.values().any(|one| one.is_ending()) {
            // They are about to make room.
            return true;
        }
        let silent = self.open.iter().filter(|(_, one)| one.can_be_evicted());
        // Those of the same millisecond in their order.
        let silent = silent.map(|(id, one)| (one.state(), *id, one));
        let (mut new, mut others): (Vec<_>, Vec<_>) =
            silent.partition(|((phase, _), ..)| *phase <= Phase::First);
        let (oldest, most) = match new.len() > others.len() {
            // Looking for each alone would be most of the work when thousands come.
            true => (&mut new, self.open.len() / 16 + 1),
            false if others.is_empty() => (&mut new, 1),
            false => (&mut others, 1),
        };
        oldest.sort_unstable_by_key(|((_, since), id, _)| (*since, *id));
        for ((phase, _), _, one) in oldest.iter().take(most) {
            one.end(*phase);
        }
        !oldest.is_empty()
    }

    fn hold(&mut self, bytes: usize) {
        self.held += bytes;
        if self.held > MAX_BODIES
            && let Some(oldest) = self.bodies.values().find(|body| !body.is_late())
        {
            oldest.end(Late::Evicted);
        }
    }
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self(Arc::new(Shared {
            limits,
            began: Instant::now(),
            now: AtomicU64::new(0),
            table: Mutex::default(),
            work: Condvar::new(),
            room: Notify::new(),
        }))
    }

    /// Enters a connection that was accepted.
    pub(crate) fn enter(&self) -> Entry {
        let now = self.0.look_at_the_clock();
        let mut table = self.0.table();
        let id = table.next;
        table.next += 1;
        let connection = Arc::new(Connection {
            shared: self.0.clone(),
            state: AtomicU64::new(packed(Phase::First, now)),
            requests: AtomicU32::new(0),
            incomplete: AtomicU32::new(0),
            blocked: AtomicU64::new(NEVER),
            newest: AtomicUsize::new(0),
            answers: Mutex::default(),
            slow_until: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            task: OnceLock::new(),
        });
        table.open.insert(id, connection.clone());
        if !table.has_thread {
            let shared = self.0.clone();
            let thread = thread::Builder::new().name("coze-auth-mock connections".to_owned());
            // Without a thread there are no time limits; the next connection asks for one again.
            table.has_thread = thread.spawn(move || shared.watch()).is_ok();
        }
        if table.open.len() == 1 {
            self.0.work.notify_all();
        }
        Entry { id, connection }
    }

    /// Returns when there is room for another connection: if there are too many, it ends the one that has been silent for
    /// longest, and if all have a request under way, it waits. Returns true if one was evicted.
    pub(crate) async fn room(&self) -> bool {
        let mut evicted = false;
        while self.0.table().open.len() >= self.0.limits.connections {
            evicted |= self.evict_one().await;
        }
        evicted
    }

    /// Ends the connection that has been silent for longest, and returns when a connection has ended or some time has
    /// passed. Returns false if each has a request under way.
    pub(crate) async fn evict_one(&self) -> bool {
        let mut changed = std::pin::pin!(self.0.room.notified());
        changed.as_mut().enable();
        let evicted = {
            let mut table = self.0.table();
            table.without_room += 1;
            table.evict()
        };
        // No effect on a thread that knows when to look next.
        self.0.work.notify_all();
        let waiting = WithoutRoom(&self.0);
        changed.await;
        drop(waiting);
        evicted
    }
}

struct WithoutRoom<'a>(&'a Shared);

impl Drop for WithoutRoom<'_> {
    fn drop(&mut self) {
        self.0.table().without_room -= 1;
    }
}

/// The entry of an open connection; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let shared = &self.connection.shared;
        let mut table = shared.table();
        table.open.remove(&self.id);
        if table.without_room > 0 {
            shared.room.notify_waiters();
        }
    }
}

/// An open connection: what it keeps the mock waiting for.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    /// The phase, and since when; both in one number, so that nobody sees one without the other.
    state: AtomicU64,
    /// How many requests are under way: from the end of a head to the end of an answer.
    requests: AtomicU32,
    /// How many of them wait for the rest of their body.
    incomplete: AtomicU32,
    /// Since when its socket takes nothing of what is written, or [`NEVER`].
    blocked: AtomicU64,
    /// Number of bytes of the newest answer over HTTP/1.1.
    newest: AtomicUsize,
    /// Those that HTTP/2 sends as the client's windows allow.
    answers: Mutex<Vec<Weak<OfferedAnswer>>>,
    /// Until when a fault makes it slow, at most.
    slow_until: AtomicU64,
    ending: AtomicBool,
    task: OnceLock<AbortHandle>,
}

/// A time that has not come.
const NEVER: u64 = u64::MAX;

fn packed(phase: Phase, since: u64) -> u64 {
    (since << 3) | phase as u64
}

impl Connection {
    pub(crate) fn served_by(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    fn enter(&self, phase: Phase) {
        let now = self.shared.now();
        self.state.store(packed(phase, now), Ordering::Relaxed);
    }

    fn state(&self) -> (Phase, u64) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = usize::try_from(state & 7)
            .ok()
            .and_then(|at| PHASES.get(at));
        (phase.copied().unwrap_or(Phase::Idle), state >> 3)
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::Acquire)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    fn can_be_evicted(&self) -> bool {
        self.requests() == self.incomplete.load(Ordering::Relaxed)
    }

    fn end(&self, phase: Phase) {
        if let Some(task) = self.task.get()
            && !self.ending.swap(true, Ordering::Relaxed)
        {
            tracing::debug!("a connection was ended while the mock waited: {phase:?}");
            task.abort();
        }
    }

    pub(crate) fn shakes_hands(&self) {
        self.enter(Phase::Handshake);
    }

    pub(crate) fn has_shaken_hands(&self) {
        self.enter(Phase::First);
    }

    /// Bytes of a head of HTTP/1.1 have arrived. HTTP/2 has frames between its requests, too.
    pub(crate) fn receives(&self) {
        if self.state().0 == Phase::Idle && self.requests() == 0 {
            self.enter(Phase::Head);
        }
    }

    /// The socket has taken something, or not, of what is written.
    pub(crate) fn writes(&self, blocked: bool) {
        if (self.blocked.load(Ordering::Relaxed) != NEVER) != blocked {
            let since = if blocked { self.shared.now() } else { NEVER };
            self.blocked.store(since, Ordering::Relaxed);
        }
    }

    /// A fault sends its answer slowly from now on.
    pub(crate) fn slows(&self, at_most: Duration) {
        let at_most = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
        let until = self.shared.now().saturating_add(at_most);
        self.slow_until.store(until, Ordering::Relaxed);
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Weak<OfferedAnswer>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the client has taken nothing of what is there for it: of one of its answers, or of all.
    fn untaken_since(&self) -> Option<u64> {
        let blocked = self.blocked.load(Ordering::Relaxed);
        let blocked = (blocked != NEVER).then_some(blocked);
        // Dropped after the lock, since an answer removes itself from the list.
        let answers: Vec<_> = self.answers().iter().filter_map(Weak::upgrade).collect();
        let answers = answers.iter().filter_map(|answer| answer.untaken_since());
        let since = answers.chain(blocked).min()?;
        Some(since.max(self.slow_until.load(Ordering::Relaxed)))
    }

    /// Number of bytes that wait for the client, while it takes nothing.
    fn untaken_bytes(&self) -> usize {
        let answers: Vec<_> = self.answers().iter().filter_map(Weak::upgrade).collect();
        let over_http2: usize = answers.iter().map(|answer| answer.bytes).sum();
        over_http2.max(self.newest.load(Ordering::Relaxed))
    }

    pub(crate) fn says_farewell(&self) {
        self.enter(Phase::Farewell);
    }

    /// A head is complete; the request ends when the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> RequestUnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        RequestUnderWay(self.clone())
    }

    /// The rest of a body has to be waited for.
    pub(crate) fn wait_for_body(self: &Arc<Self>) -> BodyUnderWay {
        let waiting = Arc::new(Waiting {
            since: self.shared.now(),
            late: Mutex::default(),
        });
        let mut table = self.shared.table();
        let id = table.next;
        table.next += 1;
        table.bodies.insert(id, waiting.clone());
        table.hold(MAX_HEAD);
        self.incomplete.fetch_add(1, Ordering::Relaxed);
        BodyUnderWay {
            id,
            waiting,
            connection: self.clone(),
            held: MAX_HEAD,
        }
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(crate) struct RequestUnderWay(Arc<Connection>);

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        let this = &self.0;
        // Before the count, so that nobody sees a connection without requests and an old time.
        if this.state().0 != Phase::Farewell {
            this.enter(Phase::Idle);
        }
        this.requests.fetch_sub(1, Ordering::Release);
    }
}

impl RequestUnderWay {
    /// Its answer over HTTP/1.1, of so many bytes.
    pub(crate) fn answers(&self, bytes: usize) {
        self.0.newest.store(bytes, Ordering::Relaxed);
    }

    /// Its answer over HTTP/2, of so many bytes, which is there for the client from now on.
    pub(crate) fn offered(self, bytes: usize) -> Arc<OfferedAnswer> {
        let connection = self.0.clone();
        let taking = Taking {
            since: connection.shared.now(),
            parts: 0,
            waits: false,
        };
        let answer = Arc::new(OfferedAnswer {
            bytes,
            taking: Mutex::new(taking),
            request: self,
        });
        connection.answers().push(Arc::downgrade(&answer));
        answer
    }
}

/// An answer over HTTP/2, until the client has taken all of it.
#[derive(Debug)]
pub(crate) struct OfferedAnswer {
    bytes: usize,
    taking: Mutex<Taking>,
    request: RequestUnderWay,
}

#[derive(Debug)]
struct Taking {
    /// When the client took something, or when there was something for it again.
    since: u64,
    /// How many parts are not taken.
    parts: usize,
    /// The answer itself has nothing more for now.
    waits: bool,
}

impl OfferedAnswer {
    fn taking(&self) -> MutexGuard<'_, Taking> {
        self.taking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn untaken_since(&self) -> Option<u64> {
        let taking = self.taking();
        (taking.parts > 0 || !taking.waits).then_some(taking.since)
    }

    /// There is another part for the client.
    pub(crate) fn gives(&self) {
        let mut taking = self.taking();
        // Behind a part that is not taken it changes nothing.
        if taking.parts == 0 {
            taking.since = self.request.0.shared.now();
        }
        taking.parts += 1;
        taking.waits = false;
    }

    /// The client has taken something.
    pub(crate) fn is_taken(&self) {
        self.taking().since = self.request.0.shared.now();
    }

    /// The client has taken a part, or will never do so.
    pub(crate) fn is_over(&self) {
        let mut taking = self.taking();
        taking.since = self.request.0.shared.now();
        taking.parts -= 1;
    }

    /// There is nothing more for now.
    pub(crate) fn waits(&self) {
        self.taking().waits = true;
    }
}

impl Drop for OfferedAnswer {
    fn drop(&mut self) {
        let this: *const Self = self;
        let mut answers = self.request.0.answers();
        answers.retain(|answer| !std::ptr::eq(answer.as_ptr(), this));
    }
}

/// Why the rest of a body is not waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// It did not arrive within this time.
    Time(Duration),
    /// All bodies that are waited for are too much together, and this one was the oldest.
    Evicted,
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(limit) => write!(
                f,
                "a body that had not arrived after {} ms",
                limit.as_millis()
            ),
            Self::Evicted => f.write_str(
                "a body that had not arrived while the mock received too many others at once",
            ),
        }
    }
}

impl std::error::Error for Late {}

#[derive(Debug)]
struct Waiting {
    since: u64,
    late: Mutex<(Option<Late>, Option<Waker>)>,
}

impl Waiting {
    fn late(&self) -> MutexGuard<'_, (Option<Late>, Option<Waker>)> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_late(&self) -> bool {
        self.late().0.is_some()
    }

    fn end(&self, why: Late) {
        let mut late = self.late();
        late.0.get_or_insert(why);
        if let Some(waker) = late.1.take() {
            waker.wake();
        }
    }
}

/// A body that keeps its request waiting.
#[derive(Debug)]
pub(crate) struct BodyUnderWay {
    id: u64,
    waiting: Arc<Waiting>,
    connection: Arc<Connection>,
    held: usize,
}

impl BodyUnderWay {
    /// Why it is not waited for any longer; else `waker` is woken when it is not.
    pub(crate) fn late(&self, waker: &Waker) -> Option<Late> {
        let mut late = self.waiting.late();
        if late.0.is_none() {
            late.1 = Some(waker.clone());
        }
        late.0
    }

    pub(crate) fn receives(&mut self, bytes: usize) {
        self.held += bytes;
        self.connection.shared.table().hold(bytes);
    }
}

impl Drop for BodyUnderWay {
    fn drop(&mut self) {
        self.connection.incomplete.fetch_sub(1, Ordering::Relaxed);
        let mut table = self.connection.shared.table();
        table.bodies.remove(&self.id);
        table.held -= self.held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_a_part_that_is_not_taken_changes_nothing() {
        let entry = Connections::new(ConnectionLimits::default()).enter();
        let at = |now: u64| entry.connection.shared.now.store(now, Ordering::Relaxed);
        let since = || entry.connection.untaken_since();
        assert_eq!(since(), None);
        at(10);
        let answer = entry.connection.begin().offered(1);
        assert_eq!(since(), Some(10), "it is there");
        at(20);
        answer.gives();
        answer.waits();
        at(30);
        answer.gives();
        answer.waits();
        assert_eq!(since(), Some(20));
        at(40);
        answer.is_taken();
        assert_eq!(since(), Some(40), "a piece of the first");
        at(50);
        answer.is_over();
        assert_eq!(since(), Some(50), "the second is left");
        answer.is_over();
        assert_eq!(since(), None, "all is taken, and there is no more for now");
        drop(answer);
        assert!(entry.connection.answers().is_empty());
        entry.connection.writes(true);
        at(60);
        entry.connection.writes(true);
        assert_eq!(since(), Some(50));
        entry.connection.writes(false);
        assert_eq!(since(), None);
    }
}
