//! The polling machine.
//!
//! ```text
//!            time reached            pending: interval
//!   Waiting ─────────────▶ Sending ──────────────────────▶ Waiting
//!      │                      │      slow_down: interval += 5 s, for good
//!      │ next poll would      │      trouble: interval × 2, 4, 8, 16 at most
//!      │ come too late        ▼ token, refusal by OAuth's words
//!      └──────────────────▶ Over
//! ```
//!
//! Trouble is also whatever is not an OAuth answer: a page under 403 or 404, a redirect to a sign-in of the network's, a
//! number of the API gateway's. It says nothing about the device code, so polls go on until that has ended.
//!
//! Entering Waiting and entering Sending is what [`DevicePoll::on_progress`] tells of, when the driver is told.

use std::fmt;
use std::time::Duration;

use super::DeviceAuthorization;
use crate::envelope::Answer;
use crate::error::{Error, ErrorCode, Oddity, TransportFailure};
use crate::flow::{Flow, Step};
use crate::secret::Hidden;
use crate::time::{Now, SteadyTime};
use crate::token::TokenGrant;
use crate::wire::{Outgoing, Response};

/// RFC 8628 §3.5: `slow_down` adds this, for this poll and all that follow.
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// How long before the deadline a last poll comes after trouble.
const LAST_CHANCE: Duration = Duration::from_secs(1);
/// How often trouble doubles the pause.
const MOST_DOUBLINGS: u32 = 4;

/// Polls for a device authorization. It honours the server's interval and expiry, and never polls
/// faster than the server allowed, least of all when the server is in trouble.
///
/// The first poll comes one interval after the codes were issued. The deadline is on the steady clock: a
/// wall clock that is set back does not lengthen the wait. After a suspend it comes late, which is
/// harmless, since the server then says `expired_token`.
#[derive(Debug)]
#[must_use = "a poll does nothing until it is driven"]
pub struct DevicePoll {
    request: Outgoing,
    interval: Duration,
    deadline: SteadyTime,
    doublings: u32,
    user_code: Hidden,
    last_poll: LastPoll,
    /// This pause has been reported.
    reported: bool,
    report: Report,
    state: State,
}

/// How a device authorization stands, for the person who waits. See [`DevicePoll::on_progress`]. `Debug` leaves the user code out.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// What the person types.
    pub user_code: String,
    /// How long the user code still lives.
    pub time_left: Duration,
    /// When the next poll comes; zero if it is sent now.
    pub next_poll: Duration,
    /// What the last poll brought, which is why the pause is as long as it is.
    pub last_poll: LastPoll,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("time_left", &self.time_left)
            .field("next_poll", &self.next_poll)
            .field("last_poll", &self.last_poll)
            .finish_non_exhaustive()
    }
}

/// What a poll brought that did not end the wait.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LastPoll {
    /// The person has not answered yet; or there was no poll yet.
    Pending,
    /// The person has not answered yet, and the server wants fewer polls.
    SlowDown,
    /// No use: the network or the server is in this trouble. It may pass, so polls go on.
    Trouble(Error),
}

type Reporter = Box<dyn FnMut(&Progress) + Send + Sync>;

#[derive(Default)]
struct Report(Option<Reporter>);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

#[derive(Debug)]
enum State {
    Waiting(SteadyTime),
    Sending,
    Over(Box<Result<TokenGrant, Error>>),
    Finished,
}

impl State {
    fn over(result: Result<TokenGrant, Error>) -> Self {
        Self::Over(Box::new(result))
    }
}

impl DevicePoll {
    pub(super) fn new(request: Outgoing, started: &DeviceAuthorization) -> Self {
        let mut poll = Self {
            request,
            interval: started.interval,
            deadline: started.received_at.plus(started.expires_in),
            doublings: 0,
            user_code: Hidden::new(started.user_code.as_str()),
            last_poll: LastPoll::Pending,
            reported: false,
            report: Report::default(),
            state: State::Finished,
        };
        poll.state = poll.pause_from(started.received_at, started.interval, None);
        poll
    }

    /// Reports when a pause begins and when a poll is sent, each once, however often the driver asks. The end is
    /// not reported: it is the flow's result. A second call replaces the first.
    ///
    /// A driver that sleeps through a pause has nothing to count down with, so a program that shows seconds
    /// counts them itself, from the report on.
    ///
    /// ```
    /// # use coze_auth_core::{Endpoints, Error, Flow, Now, Response, SteadyTime, Step, UnixTime, device::DeviceApp};
    /// use coze_auth_core::device::{LastPoll, Progress};
    ///
    /// fn line(progress: &Progress) -> String {
    ///     let why = match &progress.last_poll {
    ///         LastPoll::SlowDown => ", as the server wishes".to_owned(),
    ///         LastPoll::Trouble(error) => format!(", since {error}"),
    ///         _ => String::new(),
    ///     };
    ///     let (code, left) = (&progress.user_code, progress.time_left.as_secs());
    ///     let next = progress.next_poll.as_secs();
    ///     format!("{code} is good for {left} s; looking again in {next} s{why}")
    /// }
    /// # fn main() -> Result<(), Error> {
    /// # let now = |secs| Now {
    /// #     unix: UnixTime::from_secs(1_750_000_000 + secs),
    /// #     steady: SteadyTime::from_duration(std::time::Duration::from_secs(secs)),
    /// # };
    /// # let app = DeviceApp::new(Endpoints::cn(), "client-id")?;
    /// # let mut call = app.start();
    /// # let body = br#"{"device_code":"d","user_code":"VIK-AZC-ZTV","verification_uri":"https://www.coze.cn/device","expires_in":300,"interval":5}"#;
    /// # call.receive(Ok(Response::new(body.to_vec().into())), now(0));
    /// # let Step::Done(started) = call.step(now(0)) else { unreachable!() };
    /// # let started = started?;
    /// # let (lines, shown) = std::sync::mpsc::channel();
    /// # let show = move |line| lines.send(line).expect("a reader");
    /// let mut poll = app.poll(&started).on_progress(move |progress| show(line(progress)));
    /// # let _ = poll.step(now(0));
    /// # assert_eq!(shown.recv().unwrap(), "VIK-AZC-ZTV is good for 300 s; looking again in 5 s");
    /// # Ok(()) }
    /// ```
    pub fn on_progress(mut self, report: impl FnMut(&Progress) + Send + Sync + 'static) -> Self {
        self.report = Report(Some(Box::new(report)));
        self
    }

    fn tell(&mut self, now: SteadyTime, next_poll: Duration) {
        if let Some(report) = &mut self.report.0 {
            report(&Progress {
                user_code: self.user_code.expose().to_owned(),
                time_left: now.until(self.deadline),
                next_poll,
                last_poll: self.last_poll.clone(),
            });
        }
    }

    /// Waits, unless the next poll would come after the deadline: then it is over now, without a useless sleep.
    fn pause_from(&self, now: SteadyTime, pause: Duration, log_id: Option<String>) -> State {
        let next = now.plus(pause);
        match next < self.deadline {
            true => State::Waiting(next),
            false => State::over(Err(Error::DeviceExpired { log_id })),
        }
    }

    /// After trouble: longer and longer, and at least what the server asks for, but with one poll left
    /// before the deadline where that can be. If none can, the trouble is what ended it.
    fn back_off(&mut self, now: SteadyTime, retry_after: Option<Duration>, error: Error) -> State {
        self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
        let last_chance = now.until(self.deadline).saturating_sub(LAST_CHANCE);
        let pause = self
            .interval
            .saturating_mul(1 << self.doublings)
            .min(last_chance)
            .max(self.interval)
            .max(retry_after.unwrap_or_default());
        let next = now.plus(pause);
        match next < self.deadline {
            true => {
                self.last_poll = LastPoll::Trouble(error);
                State::Waiting(next)
            }
            false => State::over(Err(error)),
        }
    }

    fn after(&mut self, reply: Result<Response, TransportFailure>, now: Now) -> State {
        let read = |answer: Answer<'_>| TokenGrant::read(&answer, now);
        let error = match Answer::of(&self.request, reply, now, read) {
            Ok(grant) => return State::over(Ok(grant)),
            Err(error) => error,
        };
        let log_id = error.log_id().map(str::to_owned);
        match &error {
            Error::Refused(refused) => match refused.code() {
                ErrorCode::AuthorizationPending => {
                    self.doublings = 0;
                    self.last_poll = LastPoll::Pending;
                    self.pause_from(now.steady, self.interval, log_id)
                }
                ErrorCode::SlowDown => {
                    self.doublings = 0;
                    self.last_poll = LastPoll::SlowDown;
                    self.interval = self.interval.saturating_add(SLOW_DOWN);
                    let pause = self.interval.max(refused.retry_after().unwrap_or_default());
                    self.pause_from(now.steady, pause, log_id)
                }
                _ if refused.passes() || !refused.code().is_oauth() => {
                    self.back_off(now.steady, refused.retry_after(), error)
                }
                _ => State::over(Err(error)),
            },
            Error::Unexpected(odd) if !has_granted(odd.oddity()) => {
                self.back_off(now.steady, odd.retry_after(), error)
            }
            Error::Transport { .. } => self.back_off(now.steady, None, error),
            _ => State::over(Err(error)),
        }
    }
}

/// Whether this is said of a grant: then the server has acted, and a further poll would only hide what is wrong.
fn has_granted(oddity: Oddity) -> bool {
    match oddity {
        Oddity::Missing("expires_in") => true,
        Oddity::Repeated(member) | Oddity::WrongType(member) | Oddity::BadValue(member) => {
            matches!(member, "access_token" | "refresh_token" | "expires_in")
        }
        _ => false,
    }
}

impl Flow for DevicePoll {
    type Output = TokenGrant;

    fn step(&mut self, now: Now) -> Step<TokenGrant> {
        // A sleep can last longer than asked; a poll after the deadline is as useless as a sleep past it.
        if matches!(self.state, State::Waiting(_)) && now.steady >= self.deadline {
            self.state = State::over(Err(Error::DeviceExpired { log_id: None }));
        }
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Waiting(next) if now.steady < next => {
                self.state = State::Waiting(next);
                let rest = now.steady.until(next);
                if !std::mem::replace(&mut self.reported, true) {
                    self.tell(now.steady, rest);
                }
                Step::Wait(rest)
            }
            State::Waiting(_) => {
                self.state = State::Sending;
                self.tell(now.steady, Duration::ZERO);
                Step::Send(self.request.request())
            }
            State::Sending => {
                self.state = State::Sending;
                Step::Send(self.request.request())
            }
            State::Over(result) => Step::Done(*result),
            State::Finished => Step::Done(Err(Error::FlowFinished)),
        }
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        if matches!(self.state, State::Sending) {
            self.state = self.after(reply, now);
            self.reported = false;
        }
    }
}
