//! One case on its world: the steps, and the document of what was seen.

mod play;

use std::sync::Arc;
use std::time::Duration;

use coze_auth_mock::{CozeAuthMock, MockWorld};
use serde_json::{Map, Value, json};

use super::controls::Controls;
use super::{Lab, seen};
use crate::case::Case;
use crate::client::{Broken, Client, Opening, Outcome};
use crate::clock::{START, SharedClock};
use crate::observe::{self, Found};

/// How a case came to its end.
pub(super) enum Ended {
    Played,
    /// The client does not work, or has not what it declared.
    NotTestable(String),
    /// The case itself is wrong.
    Wrong(String),
}

pub(super) struct Scene {
    case: Case,
    controls: Controls,
    world: MockWorld,
    elsewhere: Option<MockWorld>,
    clock: SharedClock,
    opening: Opening,
    pub(super) document: Value,
    /// Every text that the client gave: of errors, and of logs.
    errors: Vec<String>,
    logs: Vec<String>,
    secrets: Vec<String>,
    log: Vec<Value>,
    /// How many requests of the two servers are in it.
    told: [usize; 2],
    /// Why the steps behind it were left out.
    pub(super) stopped_at: Option<String>,
}

impl Scene {
    pub(super) fn open(
        mock: &Arc<CozeAuthMock>,
        other: &Arc<CozeAuthMock>,
        name: &str,
        case: &Case,
    ) -> Result<Self, String> {
        let clock = SharedClock::new();
        let world = Lab::world(mock, name, &clock, &settings(case))?;
        let elsewhere = match uses_elsewhere(case) {
            true => Some(Lab::world(other, name, &clock, "")?),
            false => None,
        };
        let info = world.info();
        let mut document = json!({
            "base": world.base_url(),
            "app": {},
            "now": START.as_secs(),
        });
        for app in info["apps"].as_array().into_iter().flatten() {
            let kind = app["kind"].as_str().unwrap_or_default();
            document["app"][kind] = app.clone();
        }
        // As a file of Windows has it, and as an environment variable.
        if let Some(key) = document["app"]["jwt"]["private_key"].as_str() {
            let (crlf, escaped) = (key.replace('\n', "\r\n"), key.replace('\n', "\\n"));
            document["app"]["jwt"]["private_key_crlf"] = crlf.into();
            document["app"]["jwt"]["private_key_escaped"] = escaped.into();
        }
        for token in info["tokens"].as_array().into_iter().flatten() {
            let kind = token["kind"].as_str().unwrap_or_default();
            document[kind] = token["value"].clone();
        }
        if let Some(elsewhere) = &elsewhere {
            document["elsewhere"] = json!({ "base": elsewhere.base_url() });
        }
        let mut secrets = case.secrets.clone();
        for path in ["app.web.client_secret", "app.jwt.private_key", "pat", "sat"] {
            if let Found::One(Some(Value::String(secret))) = observe::find(&document, path) {
                // Of a key any line will do.
                let line = secret.lines().find(|line| !line.starts_with('-'));
                secrets.extend(line.map(str::to_owned));
            }
        }
        Ok(Self {
            opening: Opening {
                id: case.id.clone(),
                base_url: world.base_url().to_owned(),
                clock: clock.clone(),
                mock: mock.clone(),
                log: case.log,
                patience: Duration::from_millis(case.limits.real_ms),
            },
            case: case.clone(),
            controls: Controls {
                mock: mock.clone(),
                name: name.to_owned(),
            },
            world,
            elsewhere,
            clock,
            document,
            errors: Vec::new(),
            logs: Vec::new(),
            secrets,
            log: Vec::new(),
            told: [0; 2],
            stopped_at: None,
        })
    }

    pub(super) fn play(&mut self, client: &mut dyn Client) -> Ended {
        let ended = self.steps(client);
        self.look();
        ended
    }

    /// Puts what both sides saw into the document.
    fn look(&mut self) {
        let requests = self.world.requests();
        self.document["wire"] = seen::wire(&requests);
        self.document["gaps_ms"] = seen::gaps(&requests);
        let rules = requests.iter().filter_map(|seen| seen.outcome.rule);
        self.document["rules"] = rules.collect();
        let sleeps = self.clock.sleeps();
        let ms = sleeps
            .iter()
            .map(|sleep| u64::try_from(sleep.as_millis()).unwrap_or(u64::MAX));
        let ms: Vec<u64> = ms.collect();
        self.document["slept_ms"] = ms.iter().sum::<u64>().into();
        self.document["sleeps_ms"] = ms.into();
        self.document["logs"] = json!(self.logs);
        if let Some(elsewhere) = &self.elsewhere {
            self.document["elsewhere"]["requests"] = json!(elsewhere.requests());
        }
        self.document["leaks"] = json!({
            "errors": self.leaks(&self.errors),
            "logs": self.leaks(&self.logs),
            "wire": self.world.leaks(),
        });
    }

    /// Which secrets a text shows.
    fn leaks(&self, texts: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for text in texts {
            let known = self.world.leaks_in(text);
            found.extend(known.iter().map(|leak| leak.kind.to_owned()));
            let own = self
                .secrets
                .iter()
                .filter(|secret| text.contains(secret.as_str()));
            found.extend(own.map(|_| "secret".to_owned()));
        }
        found
    }

    /// Lets go whoever is still held.
    pub(super) fn close(&self) {
        self.clock.unwatch();
        drop(self.controls.call("DELETE /faults", &Map::new()));
    }

    pub(super) fn masked(&self, text: &str) -> String {
        observe::masked(text, &self.secrets)
    }

    pub(super) fn passed_ms(&self) -> u64 {
        u64::try_from(self.clock.handle().steady().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Scene {
    /// An operation that begins, without its secrets: who asks for what.
    fn begin(&mut self, op: &str, args: &Map<String, Value>) {
        let open = [
            "kind", "as", "client", "device", "attempt", "provider", "callers", "ttl_s", "method",
        ];
        let shown = args
            .iter()
            .filter(|(name, _)| open.contains(&name.as_str()));
        let shown: Map<String, Value> = shown
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.catch_up();
        let at_ms = self.clock.handle().unix_ms();
        self.log
            .push(json!({ "at_ms": at_ms, "do": op, "with": shown, "came": null }));
    }

    /// What became of the operation that began last, and what the server saw of it.
    fn end(&mut self, result: &Outcome) {
        let came = match result {
            Outcome::Ok(_) => json!("ok"),
            Outcome::Err(failure) => {
                let mut told = json!(failure);
                told["message"] = self.masked(&failure.message).into();
                json!({ "err": told })
            }
            Outcome::Unsupported(why) => json!({ "unsupported": why }),
        };
        if let Some(begun) = self.log.last_mut() {
            begun["came"] = came;
        }
        self.catch_up();
    }

    /// Requests that are not yet in the log.
    fn catch_up(&mut self) {
        let worlds = [
            ("mock", Some(&self.world)),
            ("elsewhere", self.elsewhere.as_ref()),
        ];
        for ((server, world), told) in worlds.into_iter().zip(&mut self.told) {
            let new = world.map(|world| seen::told(server, world, *told));
            let new = new.unwrap_or_default();
            *told += new.len();
            self.log.extend(new);
        }
    }

    /// What was done, what the server saw, and when the client slept; none shows a secret.
    pub(super) fn log(&mut self) -> Vec<Value> {
        self.catch_up();
        let sleeps = &self.document["sleeps_ms"];
        if sleeps != &json!([]) {
            self.log.push(json!({ "sleeps_ms": sleeps }));
        }
        std::mem::take(&mut self.log)
    }
}

impl Ended {
    fn of(broken: Broken) -> Self {
        match broken {
            Broken::Client(why) => Self::NotTestable(why),
            Broken::Harness(why) => Self::Wrong(why),
        }
    }
}

/// Sections of TOML; scalars of both languages look the same.
fn settings(case: &Case) -> String {
    let mut text = String::new();
    for (section, members) in &case.mock {
        text += &format!("[{section}]\n");
        for (name, value) in members {
            text += &format!("{name:?} = {value}\n");
        }
    }
    text
}

fn uses_elsewhere(case: &Case) -> bool {
    let in_members = |members: &Map<String, Value>| {
        Value::Object(members.clone())
            .to_string()
            .contains("${elsewhere")
    };
    case.steps.iter().any(|step| {
        in_members(&step.with) || step.during.iter().any(|during| in_members(&during.with))
    })
}
