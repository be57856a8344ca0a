//! How a flow and its driver talk: **Send**, **Wait**, **Done**.
//!
//! A driver is one loop. In each round it
//!
//! 1. reads both clocks and calls [`Flow::step`];
//! 2. on [`Step::Send`] sends the request as it is, following no redirect, reads at most
//!    [`Body::READ_AT_MOST`](crate::wire::Body::READ_AT_MOST) bytes of the answer, whatever its status,
//!    reads the clocks again and calls [`Flow::receive`] with the answer or with how the transport failed.
//!    The answer has its headers, which tell its log id, the server's time and what it asks to wait; its body
//!    may be compressed still (gzip, deflate), or unpacked already;
//! 3. on [`Step::Wait`] sleeps for that long, or less: a step that comes early is told the rest;
//! 4. on [`Step::Done`] stops. A further step gives [`Error::FlowFinished`].
//!
//! Calling `step` again before `receive` gives the same request again, so a driver that lost its
//! place (a dropped future) loses nothing. The time handed in is the time *read after* a pause, not
//! the time that was aimed at.

use std::fmt;
use std::time::Duration;

use crate::envelope::Answer;
use crate::error::{Error, TransportFailure};
use crate::time::Now;
use crate::wire::{Outgoing, Request, Response};

/// What a flow wants its driver to do now.
#[derive(Debug)]
#[must_use = "a flow goes on only if its driver does what it asks"]
#[allow(clippy::exhaustive_enums)] // the three words are the contract with every driver
pub enum Step<T> {
    /// Send this and hand over the answer.
    Send(Request),
    /// Come back after this long.
    Wait(Duration),
    /// The flow is over.
    Done(Result<T, Error>),
}

/// Something that is driven to a result by sending requests and waiting.
pub trait Flow {
    /// What it gives in the end.
    type Output;

    /// Asks what to do now. Without a `receive` in between it asks for the same again.
    fn step(&mut self, now: Now) -> Step<Self::Output>;

    /// Hands over the answer to the last request, or how the transport failed. Without a request to
    /// answer it does nothing.
    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now);
}

/// A flow can be driven by reference, and driven on after a driver was dropped.
impl<F: Flow + ?Sized> Flow for &mut F {
    type Output = F::Output;

    fn step(&mut self, now: Now) -> Step<F::Output> {
        (**self).step(now)
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        (**self).receive(reply, now);
    }
}

/// Makes a result of a success.
type Read<T> = Box<dyn Fn(Answer<'_>, Now) -> Result<T, Error> + Send + Sync>;

/// A flow of one request: sent once, whatever comes back.
///
/// ```
/// use coze_auth_core::{AccessToken, Endpoints, Error, Flow, Now, Response, Step, whoami};
/// # use coze_auth_core::{SteadyTime, UnixTime};
/// # use std::time::Duration;
/// # let now = Now { unix: UnixTime::from_secs(1_790_000_000), steady: SteadyTime::from_duration(Duration::ZERO) };
///
/// let mut call = whoami(&Endpoints::cn(), &AccessToken::new("pat_of_the_console")?);
/// let Step::Send(request) = call.step(now) else { panic!("it begins with its request") };
/// assert_eq!(request.uri(), "https://api.coze.cn/v1/users/me");
/// let body = br#"{"code":0,"msg":"","data":{"user_id":"7300"}}"#.to_vec(); // your HTTP client's answer
/// call.receive(Ok(Response::new(body.into())), now);
/// let Step::Done(user) = call.step(now) else { panic!("one request is all") };
/// assert_eq!(user?.user_id, "7300");
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a call does nothing until it is driven"]
pub struct Call<T> {
    request: Outgoing,
    read: Read<T>,
    state: State<T>,
}

enum State<T> {
    Sending,
    Answered(Result<T, Error>),
    Finished,
}

impl<T> Call<T> {
    pub(crate) fn new(
        request: Outgoing,
        read: impl Fn(Answer<'_>, Now) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            request,
            read: Box::new(read),
            state: State::Sending,
        }
    }
}

impl<T> Flow for Call<T> {
    type Output = T;

    fn step(&mut self, _now: Now) -> Step<T> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Sending => {
                self.state = State::Sending;
                Step::Send(self.request.request())
            }
            State::Answered(result) => Step::Done(result),
            State::Finished => Step::Done(Err(Error::FlowFinished)),
        }
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        if !matches!(self.state, State::Sending) {
            return;
        }
        let read = |answer: Answer<'_>| (self.read)(answer, now);
        self.state = State::Answered(Answer::of(&self.request, reply, now, read));
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
