//! What a mutant is: the reference client with one thing wrong.

use std::time::Duration;

use coze_auth_conformance::Case;
use coze_auth_conformance::client::Outcome;
use coze_auth_core::{Request, Response, TransportFailure};
use serde_json::{Map, Value};

use crate::spoiled::Recording;

/// The reference client with one thing wrong, as somebody might have written it.
pub(crate) struct Mutant {
    pub(crate) name: String,
    pub(crate) ways: Vec<Way>,
    /// It shows only where one of these operations is; anywhere but with workloads, if there is none.
    ops: &'static [&'static str],
    /// It shows with workloads, too.
    in_workloads: bool,
}

type Asks = dyn Fn(&str, &mut Map<String, Value>) + Send + Sync;
type Sends = dyn Fn(&mut Request) + Send + Sync;
type Claims = dyn Fn(&mut Value, &mut Value, usize) + Send + Sync;
type Reads = dyn Fn(&Request, &mut Response) + Send + Sync;
type Tells = dyn Fn(&Told<'_>, &mut Outcome) + Send + Sync;

/// Where it goes wrong.
pub(crate) enum Way {
    /// What its caller asks for is not what it does.
    Asks(Box<Asks>),
    /// What it takes a callback for: its query, and the state of the attempt.
    Callback(fn(&mut Vec<(String, String)>, &str)),
    /// What it sends.
    Sends(Box<Sends>),
    /// What its assertions say: header and claims, and how many requests went before.
    Claims(Box<Claims>),
    /// How it reads an answer.
    Reads(Box<Reads>),
    /// How it tells failures of the network apart.
    Fails(fn(TransportFailure) -> TransportFailure),
    /// What it sends once more by itself, after this answer and so many repetitions.
    Repeats(fn(&Request, &Result<Response, TransportFailure>, usize) -> Option<Request>),
    /// It sends everything twice, and the first answer counts.
    Twice,
    /// How long it waits; the number is that of the wait, from 1.
    Waits(fn(Duration, usize) -> Duration),
    /// It measures time with the calendar.
    Calendar,
    /// Each request leaves a connection open behind it.
    Leaks,
    /// What it made does not end.
    Stays,
    /// It goes on when nobody wants the result any more.
    Deaf,
    /// The same, but it says that it has stopped.
    Lingers,
    /// What it tells its caller.
    Tells(Box<Tells>),
    /// What was granted once is given again, without a question.
    Remembers,
    /// What it writes to its log.
    Logs(fn(&Recording) -> Vec<String>),
    /// How it keeps tokens.
    Keeps(Keeps),
}

/// Of what a mutant tells its caller.
pub(crate) struct Told<'a> {
    pub(crate) op: &'a str,
    pub(crate) args: &'a Map<String, Value>,
    pub(crate) recording: &'a Recording,
    /// Of the attempt whose callback this is.
    pub(crate) state: Option<&'a str>,
    /// The client's calendar.
    pub(crate) now: u64,
}

/// How tokens are kept wrongly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Not at all: each call asks for a new one.
    Nothing,
    /// Who finds it being renewed is told an error.
    Impatient,
    /// Who finds it being renewed renews it too.
    Herd,
    /// The first token, for ever.
    Forever,
    /// The first token to its end, and what a refresh brings for ever.
    FirstEnd,
    /// A minute longer than it lives.
    TooLong,
    /// Not in its last minute, even if there is no other.
    TooShort,
    /// An error, for ever.
    Errors,
    /// The first refresh token.
    FirstRefreshToken,
    /// No refresh token once an answer came without one.
    NoRefreshToken,
    /// The same randomness for every assertion.
    Randomness,
    /// What could not be renewed, dead or not.
    Dead,
    /// The same, once it has told the error.
    DeadLater,
    /// No error: the next caller tries again at once.
    NoError,
    /// Its own pause, whatever the server asks for.
    OwnPause,
    /// The number of an error of the API to itself.
    Codes,
    /// One token for all sources.
    Together,
    /// Anything, where there is no token.
    Anything,
}

impl Mutant {
    /// With nothing wrong: what the others are compared with.
    pub(crate) fn right() -> Self {
        Self {
            name: "right".to_owned(),
            ways: Vec::new(),
            ops: &[],
            in_workloads: true,
        }
    }

    pub(crate) fn new(name: impl Into<String>, way: Way) -> Self {
        Self {
            name: name.into(),
            ways: vec![way],
            ops: &[],
            in_workloads: false,
        }
    }

    /// It goes wrong here too.
    pub(crate) fn and(mut self, way: Way) -> Self {
        self.ways.push(way);
        self
    }

    /// It shows in the cases of workloads, too. Those are left out otherwise: there are many of them, and of most mutants
    /// they show nothing that others do not.
    pub(crate) const fn in_workloads(mut self) -> Self {
        self.in_workloads = true;
        self
    }

    /// It shows in these operations only.
    pub(crate) fn only(mut self, ops: &'static [&'static str]) -> Self {
        self.ops = ops;
        self
    }

    /// Whether it goes wrong in such a way.
    pub(crate) fn does(&self, is: fn(&Way) -> bool) -> bool {
        self.ways.iter().any(is)
    }

    /// Whether it can show in a case.
    pub(crate) fn shows_in(&self, case: &Case) -> bool {
        let ops = case.steps.iter().filter_map(|step| step.r#do.as_deref());
        match self.ops {
            [] => self.in_workloads || case.area() != "workload",
            own => ops.into_iter().any(|op| own.contains(&op)),
        }
    }
}
