//! The polling machine.
//!
//! ```text
//!            time reached            pending: interval
//!   Waiting ─────────────▶ Sending ──────────────────────▶ Waiting
//!      │                      │      slow_down: interval += 5 s, for good
//!      │ next poll would      │      trouble: interval × 2, 4, 8, 16 at most
//!      │ come too late        ▼ token, refusal, unreadable answer
//!      └──────────────────▶ Over
//! ```

use std::time::Duration;

use super::DeviceAuthorization;
use crate::envelope::Answer;
use crate::error::{Error, ErrorCode, TransportFailure};
use crate::flow::{Flow, Step};
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
    state: State,
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
            state: State::Finished,
        };
        poll.state = poll.pause_from(started.received_at, started.interval, None);
        poll
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
            true => State::Waiting(next),
            false => State::over(Err(error)),
        }
    }

    fn after(&mut self, reply: Result<Response, TransportFailure>, now: Now) -> State {
        let outcome = match &reply {
            Ok(response) => Answer::open(&self.request, response, false)
                .and_then(|answer| TokenGrant::read(&answer, now)),
            Err(failure) => {
                let error = Error::Transport {
                    failure: *failure,
                    single_use: false,
                    to: self.request.origin(),
                };
                return self.back_off(now.steady, None, error);
            }
        };
        let error = match outcome {
            Ok(grant) => return State::over(Ok(grant)),
            Err(error) => error,
        };
        let log_id = error.log_id().map(str::to_owned);
        match &error {
            Error::Refused(refused) => match refused.code() {
                ErrorCode::AuthorizationPending => {
                    self.doublings = 0;
                    self.pause_from(now.steady, self.interval, log_id)
                }
                ErrorCode::SlowDown => {
                    self.doublings = 0;
                    self.interval = self.interval.saturating_add(SLOW_DOWN);
                    let pause = self.interval.max(refused.retry_after().unwrap_or_default());
                    self.pause_from(now.steady, pause, log_id)
                }
                ErrorCode::AccessDenied => State::over(Err(Error::DeviceDenied { log_id })),
                ErrorCode::ExpiredToken => State::over(Err(Error::DeviceExpired { log_id })),
                _ if refused.passes() => self.back_off(now.steady, refused.retry_after(), error),
                _ => State::over(Err(error)),
            },
            Error::Unexpected(odd) if odd.passes() => {
                self.back_off(now.steady, odd.retry_after(), error)
            }
            _ => State::over(Err(error)),
        }
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
                Step::Wait(now.steady.until(next))
            }
            State::Waiting(_) | State::Sending => {
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
        }
    }
}
