//! A client in another process, over `coze-auth-shim/1`; `clients/shims/README.md` tells the protocol.

mod process;

use std::io::{ErrorKind, Write as _};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::client::{About, Answer, Broken, Client, Failure, Opening, Outcome};
use crate::clock::SharedClock;
use crate::folder::Folder;
use crate::schema;
use process::Process;

/// Every line in both directions.
const SCHEMA: &str = include_str!("../clients/shims/shim.schema.json");
/// Until `hello` is answered: an interpreter and an SDK are loaded, perhaps installed.
const TO_START: Duration = Duration::from_secs(120);
/// After it the process ends by itself.
const END: &str = "process.end";
/// So often it is started again.
const MOST_STARTS: usize = 4;

/// A client behind a shim.
#[derive(Debug)]
pub struct Shim {
    command: String,
    about: About,
    process: Option<Process>,
    starts: usize,
    case: Option<Opening>,
    /// Of the case's server.
    ca: Option<Folder>,
    next_id: u64,
    /// Lines are held against it, if that was asked for.
    schema: Option<Value>,
}

impl Shim {
    /// Starts `command` by the shell, and asks what it is.
    ///
    /// # Errors
    ///
    /// [`Broken`] if it does not start or does not speak the protocol.
    pub fn start(command: &str) -> Result<Self, Broken> {
        Self::starting(command, None)
    }

    /// As [`start`](Self::start), and every line in both directions is held against the schema of the protocol.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_checked(command: &str) -> Result<Self, Broken> {
        let schema = serde_json::from_str(SCHEMA);
        let schema = schema.map_err(|error| Broken::Harness(error.to_string()))?;
        Self::starting(command, Some(schema))
    }

    fn starting(command: &str, schema: Option<Value>) -> Result<Self, Broken> {
        let mut shim = Self {
            command: command.to_owned(),
            about: About::default(),
            process: None,
            starts: 0,
            case: None,
            ca: None,
            next_id: 0,
            schema,
        };
        shim.hello()?;
        Ok(shim)
    }

    fn hello(&mut self) -> Result<(), Broken> {
        if self.starts == MOST_STARTS {
            return Err(Broken::Client(format!(
                "it was started {MOST_STARTS} times and is started no more"
            )));
        }
        self.starts += 1;
        self.process = Some(Process::start(&self.command)?);
        let args = json!({ "protocol": [1], "suite": env!("CARGO_PKG_VERSION") });
        let args = args.as_object().cloned().unwrap_or_default();
        let clock = SharedClock::new();
        let answer = self.ask("hello", &args, &clock, TO_START)?;
        let Outcome::Ok(about) = answer.result else {
            return Err(Broken::Client("it does not answer hello".to_owned()));
        };
        if about["protocol"] != 1 {
            let other = format!("it speaks another protocol: {}", about["protocol"]);
            return Err(Broken::Client(other));
        }
        let about: Result<About, _> = serde_json::from_value(about);
        let mut about = about.map_err(|error| Broken::Client(format!("hello: {error}")))?;
        // A process has sockets.
        about.caps.push("network".to_owned());
        self.about = about;
        Ok(())
    }

    /// Holds a line against a part of the schema.
    fn hold(&self, pointer: &str, line: &Value) -> Result<(), String> {
        match &self.schema {
            Some(root) => schema::hold(root, pointer, line).map_err(|why| format!("{line}: {why}")),
            None => Ok(()),
        }
    }

    fn send(&mut self, line: &Value) -> Result<(), Broken> {
        self.hold("/$defs/to_shim", line).map_err(Broken::Harness)?;
        let process = self.process.as_mut().ok_or_else(dead)?;
        writeln!(process.input, "{line}")
            .and_then(|()| process.input.flush())
            .map_err(|error| match error.kind() {
                // It was faster than the line.
                ErrorKind::BrokenPipe => dead(),
                _ => Broken::Client(format!("it takes no line: {error}")),
            })
    }

    fn ask(
        &mut self,
        op: &str,
        args: &Map<String, Value>,
        clock: &SharedClock,
        patience: Duration,
    ) -> Result<Answer, Broken> {
        let asked = self.exchange(op, args, clock, patience);
        if asked.is_err() {
            // Whatever it was about to say is nobody's any more.
            if let Some(process) = &mut self.process {
                let _ = process.child.kill();
            }
            self.process = None;
        }
        asked
    }

    fn exchange(
        &mut self,
        op: &str,
        args: &Map<String, Value>,
        clock: &SharedClock,
        patience: Duration,
    ) -> Result<Answer, Broken> {
        self.next_id += 1;
        let id = self.next_id;
        let mut told_ms = unix_ms(clock);
        self.send(&json!({ "id": id, "op": op, "args": args, "unix_ms": told_ms }))?;
        let (mut logs, mut cancel_sent) = (Vec::new(), None);
        // Only a sleep that ends gives it more time: it may log, or want to sleep on, for ever.
        let mut end = Instant::now() + patience;
        loop {
            let line = self.line(end, patience)?;
            if line["ev"] == "log" {
                logs.push(line["text"].as_str().unwrap_or_default().to_owned());
            } else if line["ev"] == "sleep" {
                let n = line["n"].clone();
                let pause = Duration::from_millis(line["ms"].as_u64().unwrap_or_default());
                // Two sleeps that began at one moment end at one moment.
                let passed = Duration::from_millis(unix_ms(clock).saturating_sub(told_ms));
                let began_ms = told_ms;
                if !clock.begin_sleep(pause) {
                    self.send(&json!({ "abandon": n }))?;
                    continue;
                }
                if clock.is_cancelled() && cancel_sent.is_none() {
                    self.next_id += 1;
                    cancel_sent = Some(self.next_id);
                    let args = json!({ "id": id });
                    let request = json!({ "id": self.next_id, "op": "cancel", "args": args, "unix_ms": began_ms });
                    self.send(&request)?;
                }
                clock.pass(pause.saturating_sub(passed));
                told_ms = unix_ms(clock);
                self.send(&json!({ "wake": n, "unix_ms": told_ms }))?;
                end = Instant::now() + patience;
            } else if line["id"] == id {
                let result = outcome(&line)?;
                if let Outcome::Ok(value) = &result {
                    let pointer = format!("/$defs/results/properties/{op}");
                    self.hold(&pointer, value).map_err(Broken::Client)?;
                }
                return Ok(Answer { result, logs });
            } else if cancel_sent.is_some_and(|cancel| line["id"] == cancel) {
                if let Outcome::Unsupported(why) = outcome(&line)? {
                    return Ok(Answer {
                        result: Outcome::Unsupported(why),
                        logs,
                    });
                }
            } else {
                return Err(Broken::Client(format!(
                    "it says {line} instead of answering {id}"
                )));
            }
        }
    }

    fn line(&self, end: Instant, patience: Duration) -> Result<Value, Broken> {
        let process = self.process.as_ref().ok_or_else(dead)?;
        let late = || Broken::Client(format!("it neither answered nor slept for {patience:?}"));
        // A line that is there is received without any time left.
        let left = end
            .checked_duration_since(Instant::now())
            .ok_or_else(late)?;
        let line = match process.lines.recv_timeout(left) {
            Ok(line) => line.map_err(Broken::Client)?,
            Err(RecvTimeoutError::Timeout) => return Err(late()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Broken::Client("its process ended".to_owned()));
            }
        };
        let line: Value = serde_json::from_str(&line).map_err(|_| {
            let line: String = line.chars().take(200).collect();
            Broken::Client(format!(
                "its standard output has a line that is not JSON: {line:?}"
            ))
        })?;
        self.hold("/$defs/from_shim", &line)
            .map_err(Broken::Client)?;
        Ok(line)
    }
}

impl Client for Shim {
    fn about(&self) -> &About {
        &self.about
    }

    fn begin(&mut self, case: &Opening) -> Result<(), Broken> {
        if case.fresh && self.process.take().is_some() {
            self.starts -= 1;
        }
        if self.process.is_none() {
            self.hello()?;
        }
        let log = if case.log { "debug" } else { "default" };
        let mut args = json!({ "id": case.id, "base_url": case.base_url, "log": log });
        if let Some(pem) = &case.ca_pem {
            let folder = Folder::new()?;
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, pem.as_bytes())
                .map_err(|error| Broken::Harness(format!("{}: {error}", file.display())))?;
            args["ca_file"] = file.display().to_string().into();
            self.ca = Some(folder);
        }
        let args = args.as_object().cloned().unwrap_or_default();
        self.case = Some(case.clone());
        match self.ask("case", &args, &case.clock, case.patience)?.result {
            Outcome::Ok(_) => Ok(()),
            other => Err(Broken::Client(format!(
                "it does not begin the case: {other:?}"
            ))),
        }
    }

    fn call(&mut self, op: &str, args: &Map<String, Value>) -> Result<Answer, Broken> {
        let case = self.case.as_ref();
        let case = case.ok_or_else(|| Broken::Harness("no case has begun".to_owned()))?;
        let (clock, patience) = (case.clock.clone(), case.patience);
        let mut answer = self.ask(op, args, &clock, patience)?;
        if let (END, Outcome::Ok(told)) = (op, &mut answer.result) {
            *told = self.ended(patience)?;
        }
        Ok(answer)
    }
}

impl Shim {
    /// Whether its process ends by itself, and how.
    fn ended(&mut self, patience: Duration) -> Result<Value, Broken> {
        let mut process = self.process.take().ok_or_else(dead)?;
        // It was asked to, and will be started again for the next case.
        self.starts -= 1;
        let code = process.ended(patience);
        let code = code.map_err(|error| Broken::Harness(error.to_string()))?;
        Ok(match code {
            None => json!({ "ended": false }),
            // None if a signal ended it.
            Some(code) => json!({ "ended": true, "exit_code": code }),
        })
    }
}

fn dead() -> Broken {
    Broken::Client("its process ended".to_owned())
}

fn unix_ms(clock: &SharedClock) -> u64 {
    u64::try_from(clock.unix().as_millis()).unwrap_or(u64::MAX)
}

fn outcome(line: &Value) -> Result<Outcome, Broken> {
    if let Some(value) = line.get("ok") {
        return Ok(Outcome::Ok(value.clone()));
    }
    if let Some(why) = line.get("unsupported") {
        return Ok(Outcome::Unsupported(
            why.as_str().unwrap_or_default().to_owned(),
        ));
    }
    let failure: Result<Failure, _> =
        serde_json::from_value(line.get("err").cloned().unwrap_or_default());
    let failure = failure.map_err(|error| Broken::Client(format!("it answers {line}: {error}")))?;
    match failure.kind.as_str() {
        "protocol" => Err(Broken::Client(format!(
            "it does not understand: {}",
            failure.message
        ))),
        _ => Ok(Outcome::Err(failure)),
    }
}
