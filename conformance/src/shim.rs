//! A client in another process, over `coze-auth-shim/1`; `shims/README.md` tells the protocol.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::client::{About, Answer, Broken, Client, Failure, Opening, Outcome};
use crate::clock::SharedClock;

const LONGEST_LINE: u64 = 1 << 20;
/// Until `hello` is answered: an interpreter and an SDK are loaded, perhaps installed.
const TO_START: Duration = Duration::from_secs(120);
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
    next_id: u64,
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Result<String, String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = writeln!(self.input, r#"{{"op":"exit"}}"#);
        for _ in 0..100 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shim {
    /// Starts `command` by the shell, and asks what it is.
    ///
    /// # Errors
    ///
    /// [`Broken`] if it does not start or does not speak the protocol.
    pub fn start(command: &str) -> Result<Self, Broken> {
        let mut shim = Self {
            command: command.to_owned(),
            about: About::default(),
            process: None,
            starts: 0,
            case: None,
            next_id: 0,
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

    fn send(&mut self, line: &Value) -> Result<(), Broken> {
        let process = self.process.as_mut().ok_or_else(dead)?;
        writeln!(process.input, "{line}")
            .and_then(|()| process.input.flush())
            .map_err(|error| Broken::Client(format!("it takes no line: {error}")))
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
        loop {
            let line = self.line(patience)?;
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
                clock.advance(pause.saturating_sub(passed));
                told_ms = unix_ms(clock);
                self.send(&json!({ "wake": n, "unix_ms": told_ms }))?;
            } else if line["id"] == id {
                let result = outcome(&line)?;
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

    fn line(&self, patience: Duration) -> Result<Value, Broken> {
        let process = self.process.as_ref().ok_or_else(dead)?;
        let line = match process.lines.recv_timeout(patience) {
            Ok(line) => line.map_err(Broken::Client)?,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Broken::Client(format!("it was silent for {patience:?}")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Broken::Client("its process ended".to_owned()));
            }
        };
        serde_json::from_str(&line).map_err(|_| {
            let line: String = line.chars().take(200).collect();
            Broken::Client(format!(
                "its standard output has a line that is no JSON: {line:?}"
            ))
        })
    }
}

impl Client for Shim {
    fn about(&self) -> &About {
        &self.about
    }

    fn begin(&mut self, case: &Opening) -> Result<(), Broken> {
        if self.process.is_none() {
            self.hello()?;
        }
        let log = if case.log { "debug" } else { "default" };
        let args = json!({ "id": case.id, "base_url": case.base_url, "log": log });
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
        let mut args = args.clone();
        if let Some(verifier) = left_to_the_caller(op) {
            args.entry("code_verifier")
                .or_insert_with(|| verifier.into());
        }
        self.ask(op, &args, &clock, patience)
    }
}

/// What a library that makes no verifier of its own is given (RFC 7636 appendix B).
fn left_to_the_caller(op: &str) -> Option<&'static str> {
    (op == "pkce.authorize_url").then_some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
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

impl Process {
    fn start(command: &str) -> Result<Self, Broken> {
        let mut shell = match cfg!(windows) {
            true => Command::new("cmd"),
            false => Command::new("sh"),
        };
        shell.arg(if cfg!(windows) { "/C" } else { "-c" });
        let command = match cfg!(windows) {
            true => command.to_owned(),
            // So that what is ended is the shim, and not a shell before it.
            false => format!("exec {command}"),
        };
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            shell.env_remove(name).env_remove(name.to_uppercase());
        }
        let shell = shell
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = shell
            .spawn()
            .map_err(|error| Broken::Client(format!("it does not start: {error}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Broken::Harness("it has no pipes".to_owned()));
        };
        let (send, lines) = sync_channel(64);
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = String::new();
                let read = output.by_ref().take(LONGEST_LINE + 1).read_line(&mut line);
                let line = match read {
                    Ok(0) => return,
                    Ok(_) if line.ends_with('\n') => Ok(line),
                    Ok(_) => Err("a line without an end, or longer than 1 MiB".to_owned()),
                    Err(error) => Err(format!("its standard output: {error}")),
                };
                let over = line.is_err();
                if send.send(line).is_err() || over {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            input,
            lines,
        })
    }
}
