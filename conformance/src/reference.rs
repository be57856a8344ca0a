//! The reference client: the flows of `coze-auth-core` over any [`Subject`].

mod apps;
mod failure;
mod guarded;
mod operations;

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;

use coze_auth_core::authorize::PendingAuthorization;
use coze_auth_core::device::DeviceAuthorization;
use coze_auth_core::{Entropy, Error};
use serde_json::{Map, Value, json};

use crate::client::{About, Answer, Broken, Client, Failure, Opening, Outcome};
use crate::subject::{Provider, Subject, TestContext};
use apps::App;

/// What the flows of the core can do, whatever carries them.
const CAPABILITIES: &[&str] = &[
    "core",
    "web",
    "pkce",
    "device",
    "jwt",
    "workload",
    "workload.lane",
    "refresh",
    "api",
    "workspace",
    "www_base",
    "config",
    "callback",
    "pkce.verifier",
    "pkce.plain",
    "jwt.scope",
    "jwt.session_name",
    "jwt.session_context",
    "jwt.account",
    "jwt.enterprise",
    "provider.scope",
    "provider.session_name",
    "provider.session_context",
    "provider.account",
    "provider.enterprise",
    "documented",
    "clock",
    "logs",
    "end",
];

/// The flows of the core over one transport.
#[derive(Debug)]
pub struct Reference<S> {
    about: About,
    case: Option<Underway<S>>,
    draws: Draws,
}

/// Entropy for what is random.
#[derive(Debug, Default)]
struct Draws {
    /// It comes from the system, and is not the same in every run.
    real: bool,
    drawn: u64,
}

impl Draws {
    fn next(&mut self) -> Result<Entropy, Broken> {
        let mut bytes = [0x5a; 32];
        self.drawn += 1;
        match self.real {
            false => bytes[..8].copy_from_slice(&self.drawn.to_be_bytes()),
            true => {
                getrandom::fill(&mut bytes).map_err(|error| Broken::Harness(error.to_string()))?;
            }
        }
        Ok(Entropy::from_bytes(bytes))
    }
}

/// What a case has made so far, by handle.
#[derive(Debug)]
struct Underway<S> {
    subject: S,
    context: TestContext,
    opening: Opening,
    apps: HashMap<String, App>,
    attempts: HashMap<String, (String, PendingAuthorization)>,
    devices: HashMap<String, (String, DeviceAuthorization)>,
    providers: HashMap<String, Box<dyn Provider>>,
    logs: Vec<String>,
}

/// What stopped an operation.
pub(crate) enum Halt {
    Failed(Box<Failure>),
    Unsupported(String),
    /// The case is wrong, not the client.
    Broken(Broken),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(failure::of(&error)))
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<Broken> for Halt {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<coze_auth_core::error::ConfigError> for Halt {
    fn from(error: coze_auth_core::error::ConfigError) -> Self {
        Error::from(error).into()
    }
}

/// What a caller can tell of an error of the core, for [`Provider`]s.
#[must_use]
pub fn failure(error: &Error) -> Failure {
    failure::of(error)
}

pub(crate) type Done = Result<Value, Halt>;

impl<S: Subject> Reference<S> {
    /// The flows over this transport; `name` is what reports call it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let caps = CAPABILITIES.iter().chain(S::CAPABILITIES);
        Self {
            about: About {
                name: name.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                language: "rust".to_owned(),
                runtime: "coze-auth-core".to_owned(),
                caps: caps.map(|&cap| cap.to_owned()).collect(),
                ..About::default()
            },
            case: None,
            draws: Draws::default(),
        }
    }
}

impl<S: Subject + Send + 'static> Client for Reference<S> {
    fn about(&self) -> &About {
        &self.about
    }

    fn begin(&mut self, case: &Opening) -> Result<(), Broken> {
        let context = TestContext::of(case);
        self.draws.real = case.mock.is_none();
        self.case = Some(Underway {
            subject: S::new(&context),
            context,
            opening: case.clone(),
            apps: HashMap::new(),
            attempts: HashMap::new(),
            devices: HashMap::new(),
            providers: HashMap::new(),
            logs: Vec::new(),
        });
        Ok(())
    }

    fn call(&mut self, op: &str, args: &Map<String, Value>) -> Result<Answer, Broken> {
        if op == "process.end" {
            return self.end();
        }
        let case = self.case.as_mut().ok_or_else(not_begun)?;
        let result = match case.call(op, args, &mut self.draws) {
            Ok(value) => Outcome::Ok(value),
            Err(Halt::Failed(_)) if case.context.clock.is_abandoned() => {
                Outcome::Err(Failure::new(
                    "abandoned",
                    "it would have slept longer than the case allows",
                ))
            }
            // The signature of each call names its error: Rust has no other way out.
            Err(Halt::Failed(failure)) => Outcome::Err(Failure {
                documented: Some(true),
                ..*failure
            }),
            Err(Halt::Unsupported(why)) => Outcome::Unsupported(why),
            Err(Halt::Broken(broken)) => return Err(broken),
        };
        let logs = std::mem::take(&mut case.logs);
        Ok(Answer { result, logs })
    }
}

impl<S: Send + 'static> Reference<S> {
    /// In Rust a process ends when its main function returns, whatever threads there are: what can hold it is the drop of
    /// what was made.
    fn end(&mut self) -> Result<Answer, Broken> {
        let case = self.case.take().ok_or_else(not_begun)?;
        let patience = case.opening.patience;
        let (dropped, is_dropped) = sync_channel(1);
        std::thread::spawn(move || {
            drop(case);
            let _ = dropped.send(());
        });
        let ended = is_dropped.recv_timeout(patience).is_ok();
        let mut result = json!({ "ended": ended });
        if ended {
            result["exit_code"] = 0.into();
        }
        Ok(Answer {
            result: Outcome::Ok(result),
            logs: Vec::new(),
        })
    }
}

fn not_begun() -> Broken {
    Broken::Harness("no case has begun".to_owned())
}

fn broken(why: String) -> Halt {
    Halt::Broken(Broken::Harness(why))
}

pub(crate) fn optional<'a>(args: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    args.get(name).and_then(Value::as_str)
}

pub(crate) fn text<'a>(args: &'a Map<String, Value>, name: &str) -> Result<&'a str, Halt> {
    optional(args, name).ok_or_else(|| broken(format!("the argument {name} is missing")))
}
