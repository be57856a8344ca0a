//! A transport that does what a mutant does between the flows of the core and a real transport.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coze_auth_conformance::{Provider, Renewed, Stop, Subject, TestContext, in_threads};
use coze_auth_core::{
    Error, Flow, Now, Request, Response, SteadyTime, Step, TokenGrant, TransportFailure,
};
use serde_json::Value;

use crate::mutant::{Mutant, Way};
use crate::source::Source;
use crate::{claims, subjects};

type MadeFor = (&'static Mutant, Arc<Mutex<Recording>>);

thread_local! {
    /// A [`Subject`] is made without arguments: which mutant it is made for, and what is recorded of it.
    static MADE_FOR: RefCell<Option<MadeFor>> = const { RefCell::new(None) };
}

/// What the library of a mutant has handled: what it may sign with, and what it may leak.
#[derive(Default)]
pub(crate) struct Recording {
    pub(crate) key: Option<String>,
    pub(crate) secret: Option<String>,
    /// The handles of attempts to log in.
    pub(crate) attempts: Vec<String>,
    pub(crate) sent: Vec<String>,
    pub(crate) last: Option<Request>,
    pub(crate) received: Vec<String>,
    pub(crate) left_open: Vec<TcpStream>,
    /// What one source got, and all others take.
    pub(crate) of_all_sources: Option<TokenGrant>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Spoiled {
    inner: subjects::Reqwest,
    _stays: Option<Stays>,
    mutant: &'static Mutant,
    recording: Arc<Mutex<Recording>>,
}

impl Spoiled {
    pub(crate) fn recording(&self) -> MutexGuard<'_, Recording> {
        locked(&self.recording)
    }

    /// What is made on this thread from now on is made for this mutant.
    pub(crate) fn made_for(mutant: &'static Mutant, recording: &Arc<Mutex<Recording>>) {
        MADE_FOR.set(Some((mutant, recording.clone())));
    }

    fn spoil<F>(&self, flow: F) -> SpoiledFlow<F> {
        SpoiledFlow {
            flow,
            mutant: self.mutant,
            recording: self.recording.clone(),
            sending: None,
            again: VecDeque::new(),
            sent: 0,
            first: None,
            waited: 0,
            early: Duration::ZERO,
        }
    }
}

/// Waits for longer than any case does.
struct Stays;

impl Drop for Stays {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_secs(6));
    }
}

impl Subject for Spoiled {
    // As under a detector of races, which has seen none unless a mutant says so.
    const CAPABILITIES: &'static [&'static str] = &[
        "network",
        "cancel",
        "timeout",
        "provider.jwt",
        "provider.user",
        "provider.workload",
        "workload.integration",
        "workload.project_env",
        "provider.parallel",
        "client.parallel",
        "https",
        "race",
    ];

    fn new(context: &TestContext) -> Self {
        let made_for = MADE_FOR.with_borrow(Clone::clone);
        let (mutant, recording) = made_for.expect("a mutant is at work on this thread");
        Self {
            inner: subjects::Reqwest::new(context),
            _stays: mutant.does(|way| matches!(way, Way::Stays)).then(|| Stays),
            mutant,
            recording,
        }
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        self.inner.run(self.spoil(flow))
    }

    fn run_until<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flow: F,
        stop: Stop,
    ) -> Option<Result<F::Output, Error>> {
        match self.mutant.does(|way| matches!(way, Way::Deaf)) {
            true => Some(self.inner.run(self.spoil(flow))),
            false => {
                let result = self.inner.run_until(self.spoil(flow), stop);
                if result.is_none() && self.mutant.does(|way| matches!(way, Way::Lingers)) {
                    let last = locked(&self.recording).last.clone();
                    for _ in 0..2 {
                        drop(self.inner.run(Once(last.clone())));
                    }
                }
                result
            }
        }
    }

    fn run_all<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flows: Vec<F>,
    ) -> Vec<Result<F::Output, Error>> {
        in_threads(self, flows)
    }

    fn with_timeout(mut self, timeout: Duration) -> Self {
        self.inner = self.inner.with_timeout(timeout);
        self
    }

    fn provider(&self, context: &TestContext, of: Renewed) -> Option<Box<dyn Provider>> {
        let spoiled = Self::new(context);
        Some(Box::new(Source::new(
            spoiled,
            context.clock.clone(),
            self.mutant,
            of,
        )))
    }
}

/// A flow whose requests, answers and pauses are those of a mutant.
struct SpoiledFlow<F> {
    flow: F,
    mutant: &'static Mutant,
    recording: Arc<Mutex<Recording>>,
    sending: Option<Request>,
    /// What the flow has not asked for and is sent all the same.
    again: VecDeque<Request>,
    sent: usize,
    first: Option<Result<Response, TransportFailure>>,
    waited: usize,
    /// How much later the flow believes it is.
    early: Duration,
}

impl<F> SpoiledFlow<F> {
    fn believed(&self, now: Now) -> Now {
        let steady = match self.mutant.does(|way| matches!(way, Way::Calendar)) {
            true => SteadyTime::from_duration(Duration::from_secs(now.unix.as_secs())),
            false => now.steady,
        };
        Now {
            unix: now.unix.plus(self.early),
            steady: steady.plus(self.early),
        }
    }

    fn send<T>(&mut self, request: Request) -> Step<T> {
        self.sending = Some(request.clone());
        let mut recording = locked(&self.recording);
        if self.mutant.does(|way| matches!(way, Way::Leaks)) {
            let server = request.uri().authority().map(|server| server.as_str());
            let left = server.and_then(|server| TcpStream::connect(server).ok());
            recording.left_open.extend(left);
        }
        recording.last = Some(request.clone());
        recording.sent.push(format!(
            "{} {} {:?} {}",
            request.method(),
            request.uri(),
            plain(&request),
            String::from_utf8_lossy(request.body().as_bytes())
        ));
        Step::Send(request)
    }
}

/// Sends this, whatever comes back.
struct Once(Option<Request>);

impl Flow for Once {
    type Output = ();

    fn step(&mut self, _: Now) -> Step<()> {
        self.0.take().map_or(Step::Done(Ok(())), Step::Send)
    }

    fn receive(&mut self, _: Result<Response, TransportFailure>, _: Now) {}
}

/// Headers as they go out: `{:?}` of those that are marked as sensitive shows nothing.
fn plain(request: &Request) -> Vec<(String, String)> {
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    });
    headers.collect()
}

impl<F: Flow> Flow for SpoiledFlow<F> {
    type Output = F::Output;

    fn step(&mut self, now: Now) -> Step<F::Output> {
        if let Some(request) = self.again.pop_front() {
            self.sent += 1;
            return self.send(request);
        }
        match self.flow.step(self.believed(now)) {
            Step::Send(mut request) => {
                for way in &self.mutant.ways {
                    match way {
                        Way::Sends(spoil) => spoil(&mut request),
                        Way::Claims(spoil) => {
                            let recording = locked(&self.recording);
                            if let Some(key) = &recording.key {
                                let spoil = |header: &mut Value, claims: &mut Value| {
                                    spoil(header, claims, recording.sent.len());
                                };
                                claims::spoil(&mut request, key, spoil);
                            }
                        }
                        _ => {}
                    }
                }
                self.send(request)
            }
            Step::Wait(pause) => {
                let spoils = self.mutant.ways.iter().find_map(|way| match way {
                    Way::Waits(spoil) => Some(spoil),
                    _ => None,
                });
                self.waited += 1;
                let spoilt = spoils.map_or(pause, |spoil| spoil(pause, self.waited));
                self.early += pause.saturating_sub(spoilt);
                Step::Wait(spoilt)
            }
            Step::Done(result) => Step::Done(result),
        }
    }

    fn receive(&mut self, mut reply: Result<Response, TransportFailure>, now: Now) {
        if let Ok(response) = &reply {
            let body = String::from_utf8_lossy(response.body().as_bytes());
            locked(&self.recording).received.push(body.into_owned());
        }
        for way in &self.mutant.ways {
            match (way, &self.sending, &mut reply) {
                (Way::Repeats(wants), Some(request), reply) if self.sent < 3 => {
                    if let Some(again) = wants(request, reply, self.sent) {
                        self.again.push_back(again);
                        return;
                    }
                }
                (Way::Twice, Some(request), reply) => match self.first.take() {
                    Some(first) => *reply = first,
                    None => {
                        self.again.push_back(request.clone());
                        self.first = Some(reply.clone());
                        return;
                    }
                },
                (Way::Reads(spoil), Some(request), Ok(response)) => spoil(request, response),
                (Way::Fails(spoil), _, Err(failure)) => *failure = spoil(*failure),
                _ => {}
            }
        }
        self.sent = 0;
        let now = self.believed(now);
        self.flow.receive(reply, now);
    }
}
