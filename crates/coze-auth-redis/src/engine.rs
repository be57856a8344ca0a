//! One connection to the server, who waits for what over it, and how often it is tried.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coze_auth_core::error::ErrorKind;
use coze_auth_store::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, PushInfo, PushKind, RedisError, Value};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::check::Watch;
use crate::connect::{ConnectError, Link, connect};
use crate::options::RedisOptions;
use crate::scripts::Step;
use crate::trouble::Trouble;

/// How long to pause at first and at most between two tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How long to pause while a server loads its files, runs somebody's long script, or hands over to another.
const NOT_NOW: Duration = Duration::from_millis(100);

pub(crate) struct Engine {
    pub(crate) options: RedisOptions,
    /// Its holder connects; the others wait for what comes of that.
    slot: tokio::sync::Mutex<Slot>,
    /// Why the last try to connect failed, for those who wait for another's.
    failed: Mutex<Option<ConnectError>>,
    signals: Arc<Signals>,
    pub(crate) watch: Arc<Watch>,
}

#[derive(Default)]
struct Slot {
    line: Option<Arc<Line>>,
    failures: u32,
    /// Before when it is not tried again.
    next: Option<Instant>,
}

/// A connection with its number.
struct Line {
    link: Link,
    number: u64,
}

/// What the server says without being asked.
#[derive(Default)]
struct Signals {
    /// All connections up to this number are lost.
    lost: AtomicU64,
    channels: Mutex<HashMap<String, Channel>>,
}

/// Those who wait for messages of a channel.
struct Channel {
    waiters: usize,
    /// Whose turn it is to ask for what the messages are about, and why the one before had no answer.
    turn: Arc<tokio::sync::Mutex<Option<StoreError>>>,
    rounds: watch::Sender<()>,
    /// The connection by which it is subscribed to.
    line: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Signals {
    /// Wakes who waits: a message of a channel, or all when a connection is lost, and what it would have brought.
    fn push(&self, line: u64, info: &PushInfo) {
        match info.kind {
            PushKind::Message => {
                if let Some(Value::BulkString(name)) = info.data.first()
                    && let Ok(name) = std::str::from_utf8(name)
                    && let Some(channel) = locked(&self.channels).get(name)
                {
                    channel.rounds.send_replace(());
                }
            }
            // The right to the channel was taken away, or it is gone with its connection.
            PushKind::Disconnection => {
                self.lost.fetch_max(line, Ordering::AcqRel);
                for channel in locked(&self.channels).values() {
                    channel.rounds.send_replace(());
                }
            }
            _ => {}
        }
    }
}

impl Engine {
    pub(crate) fn new(options: RedisOptions) -> Self {
        Self {
            options,
            slot: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            signals: Arc::default(),
            watch: Arc::default(),
        }
    }

    /// Maximum time that a call takes: to connect, and to be answered.
    pub(crate) fn limit(&self) -> Duration {
        self.options.connect_within + self.options.answer_within
    }

    /// The connection that there is, or a new one. Tries again until the time is over, with pauses that no two processes share.
    async fn line(&self, until: Instant) -> Result<Arc<Line>, Trouble> {
        let away = || {
            let failed = locked(&self.failed).clone();
            Trouble::Away(failed.map(Box::new), self.options.connect_within)
        };
        let Ok(mut slot) = timeout_at(until, self.slot.lock()).await else {
            return Err(away());
        };
        let lost = self.signals.lost.load(Ordering::Acquire);
        slot.line.take_if(|line| line.number <= lost);
        if let Some(line) = &slot.line {
            return Ok(line.clone());
        }
        loop {
            if let Some(next) = slot.next {
                sleep_until(next.min(until)).await;
                if next >= until {
                    return Err(away());
                }
            }
            let number = next_number();
            let signals = self.signals.clone();
            let config = AsyncConnectionConfig::new()
                // The limits are ours: those of the call.
                .set_response_timeout(None)
                .set_push_sender(move |info: PushInfo| -> Result<(), ()> {
                    signals.push(number, &info);
                    Ok(())
                });
            let error = match timeout_at(until, connect(&self.options, config)).await {
                Ok(Ok(link)) => {
                    let line = Arc::new(Line { link, number });
                    *slot = Slot {
                        line: Some(line.clone()),
                        ..Slot::default()
                    };
                    *locked(&self.failed) = None;
                    return Ok(line);
                }
                Ok(Err(error)) => error,
                Err(_) => return Err(away()),
            };
            slot.failures += 1;
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(slot.failures.min(8));
            // Each call tries at least once.
            let longest = LAST_PAUSE.min(self.options.connect_within / 2);
            slot.next = Some(Instant::now() + jittered(pause.min(longest)));
            let passes = matches!(error.kind(), ErrorKind::Wait(_));
            *locked(&self.failed) = Some(error);
            // A wrong password is not made right by another try.
            if !passes {
                return Err(away());
            }
        }
    }

    /// Does not use this connection any more. Waits for nobody: another may be connecting, for as long as that may take.
    fn leave(&self, line: &Line) {
        self.signals.lost.fetch_max(line.number, Ordering::AcqRel);
    }

    /// Has a step done, which must be safe to repeat.
    pub(crate) async fn run(&self, step: &Step) -> Result<Value, Trouble> {
        self.ask(Question::Step(step)).await
    }

    /// Has a command done, which must be safe to repeat.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, Trouble> {
        self.ask(Question::Command(command)).await
    }

    /// Asks until there is an answer that counts, or the time is over.
    async fn ask(&self, question: Question<'_>) -> Result<Value, Trouble> {
        let began = Instant::now();
        let until = began + self.limit();
        loop {
            let connected = began + self.options.connect_within;
            let line = self.line(connected.max(Instant::now())).await?;
            let mut connection = line.link.connection.clone();
            let answered = (Instant::now() + self.options.answer_within).min(until);
            let Ok(answer) = timeout_at(answered, question.send(&mut connection)).await else {
                // It may be done later. The connection may be one on which nothing ever arrives again.
                self.leave(&line);
                return Err(Trouble::Slow(self.options.answer_within));
            };
            let error = match answer.and_then(Value::extract_error) {
                Ok(answer) => match refusal_of_a_replica(&answer) {
                    None => {
                        self.watch.look(&self.options, line.number);
                        return Ok(answer);
                    }
                    Some(text) => Trouble::Server(text),
                },
                Err(error) => Trouble::of(error),
            };
            if error.is_broken() || error.is_wrong_server() {
                self.leave(&line);
            } else if !error.is_not_now() {
                // A right that is missing, say.
                self.watch.look(&self.options, line.number);
            }
            let pause = jittered(NOT_NOW);
            if !error.is_not_now() || Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    /// A place among those who wait for messages of this channel. It need not be subscribed to yet.
    pub(crate) fn join(self: &Arc<Self>, channel: &str) -> Waiting {
        let mut channels = locked(&self.signals.channels);
        let place = channels
            .entry(channel.to_owned())
            .or_insert_with(|| Channel {
                waiters: 0,
                turn: Arc::default(),
                rounds: watch::Sender::new(()),
                line: 0,
            });
        place.waiters += 1;
        Waiting {
            engine: self.clone(),
            channel: channel.to_owned(),
            rounds: place.rounds.subscribe(),
            turn: Arc::clone(&place.turn),
            has_turn: None,
        }
    }
}

/// One who waits for messages of a channel.
pub(crate) struct Waiting {
    engine: Arc<Engine>,
    channel: String,
    rounds: watch::Receiver<()>,
    turn: Arc<tokio::sync::Mutex<Option<StoreError>>>,
    has_turn: Option<OwnedMutexGuard<Option<StoreError>>>,
}

impl Waiting {
    /// From now on a message counts.
    pub(crate) fn mark(&mut self) {
        self.rounds.borrow_and_update();
    }

    /// Waits until it is this one's turn to ask, for at most so long: of all who wait for a channel in this process one asks, until it
    /// waits no more. None: the time is over. True: it has waited.
    ///
    /// # Errors
    ///
    /// Why the one that asked meanwhile had no answer: each would have none, one after another.
    pub(crate) async fn turn(&mut self, at_most: Duration) -> Result<Option<bool>, StoreError> {
        if self.has_turn.is_some() {
            return Ok(Some(false));
        }
        if let Ok(mut turn) = self.turn.clone().try_lock_owned() {
            *turn = None;
            self.has_turn = Some(turn);
            return Ok(Some(false));
        }
        let Ok(turn) = timeout(at_most, self.turn.clone().lock_owned()).await else {
            return Ok(None);
        };
        match &*turn {
            Some(error) => Err(error.clone()),
            None => {
                self.has_turn = Some(turn);
                Ok(Some(true))
            }
        }
    }

    /// It has no answer.
    pub(crate) fn failed(&mut self, error: &StoreError) {
        if let Some(turn) = &mut self.has_turn {
            **turn = Some(error.clone());
        }
    }

    /// Subscribes, if that is to be done. True: it was not subscribed until now, so a message may have been missed.
    pub(crate) async fn subscribe(&self) -> Result<bool, Trouble> {
        let engine = &self.engine;
        let until = Instant::now() + engine.limit();
        let line = engine.line(until).await?;
        let subscribed = locked(&engine.signals.channels)
            .get(&self.channel)
            .map(|channel| channel.line);
        if subscribed == Some(line.number) {
            return Ok(false);
        }
        let mut connection = line.link.connection.clone();
        match timeout_at(until, connection.subscribe(&self.channel)).await {
            Ok(Ok(())) => {
                if let Some(channel) = locked(&engine.signals.channels).get_mut(&self.channel) {
                    channel.line = line.number;
                }
                Ok(true)
            }
            Ok(Err(error)) => Err(Trouble::of(error)),
            Err(_) => Err(Trouble::Slow(engine.options.answer_within)),
        }
    }

    /// Waits for a message since [`mark`](Self::mark), or for so long.
    pub(crate) async fn wait(&mut self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let _ = timeout_at(until, self.rounds.changed()).await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut channels = locked(&self.engine.signals.channels);
        let Some(channel) = channels.get_mut(&self.channel) else {
            return;
        };
        channel.waiters -= 1;
        if channel.waiters > 0 {
            return;
        }
        let line = channel.line;
        channels.remove(&self.channel);
        drop(channels);
        // What cannot be cancelled costs a message now and then.
        if let (true, Ok(runtime)) = (line > 0, tokio::runtime::Handle::try_current()) {
            let (engine, channel) = (self.engine.clone(), self.channel.clone());
            runtime.spawn(async move { engine.unsubscribe(line, &channel).await });
        }
    }
}

impl Engine {
    async fn unsubscribe(&self, number: u64, channel: &str) {
        let slot = self.slot.lock().await;
        let line = slot.line.clone().filter(|line| line.number == number);
        drop(slot);
        // Somebody may have come since.
        if let Some(line) = line
            && !locked(&self.signals.channels).contains_key(channel)
        {
            let mut connection = line.link.connection.clone();
            let until = Instant::now() + self.options.answer_within;
            let _ = timeout_at(until, connection.unsubscribe(channel)).await;
        }
    }
}

/// What is asked.
#[derive(Clone, Copy)]
enum Question<'a> {
    Step(&'a Step),
    Command(&'a Cmd),
}

impl Question<'_> {
    async fn send(self, connection: &mut MultiplexedConnection) -> Result<Value, RedisError> {
        let step = match self {
            Self::Command(command) => return command.query_async(connection).await,
            Self::Step(step) => step,
        };
        match step.by_hash().query_async(connection).await {
            // It was started anew, or another has taken its place.
            Err(error) if error.code() == Some("NOSCRIPT") => {
                step.by_text().query_async(connection).await
            }
            answer => answer,
        }
    }
}

/// The lease script gives back what a server says that refuses a write. A replica is not asked for what it has read, either.
fn refusal_of_a_replica(answer: &Value) -> Option<String> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let text = |part: &Value| match part {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    if parts.first().and_then(text)? != "refused" {
        return None;
    }
    let said = parts.last().and_then(text)?;
    Trouble::Server(said.clone())
        .is_wrong_server()
        .then_some(said)
}

/// Numbers of connections, from 1.
fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Between a half and the whole of it: no two processes come back in step.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random numbers the pauses are the same everywhere, and still pauses.
    let _ = getrandom::fill(&mut random);
    let share = u32::from(u16::from_le_bytes(random));
    pause / 2 + (pause / 2).mul_f64(f64::from(share) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_processes_come_back_in_step() {
        let pause = Duration::from_secs(2);
        let all: HashSet<Duration> = (0..20).map(|_| jittered(pause)).collect();
        // There are 65,536 of them.
        assert!(all.len() >= 18, "{all:?}");
        let spread = |share: u32| all.iter().any(|one| *one < pause * share / 20);
        assert!(all.iter().all(|one| *one >= pause / 2 && *one <= pause));
        assert!(
            spread(15) && all.iter().any(|one| *one > pause * 3 / 4),
            "{all:?}"
        );
    }
}
