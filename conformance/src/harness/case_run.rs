//! One run of a case in its own world: the steps, and the document that the checks look into.

mod steps;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use coze_auth_mock::Consent;
use serde_json::{Map, Value, json};

use super::Server;
use super::server_side::ServerSide;
use crate::case::Case;
use crate::client::{Broken, Client, Opening, Outcome};
use crate::clock::SharedClock;
use crate::observe::{self, Found};
use crate::url_mode;

/// How a case ended.
pub(super) enum Ended {
    Completed,
    /// The client has not what the case takes, and had not declared it.
    NotApplicable(String),
    /// The client does not work, or has not what it declared.
    NotTestable(String),
    /// The case itself is wrong.
    Wrong(String),
}

/// A case that runs over a client.
pub(super) struct CaseRun {
    case: Case,
    /// None for the real service, whose requests nobody records.
    server_side: Option<ServerSide>,
    clock: SharedClock,
    /// The client tells what it got.
    tells: bool,
    opening: Opening,
    pub(super) document: Value,
    /// Every text that the client gave: of errors, and of logs.
    errors: Vec<String>,
    logs: Vec<String>,
    secrets: Vec<String>,
    log: Vec<Value>,
    /// Why the steps behind it were left out.
    pub(super) stopped_at: Option<String>,
}

impl CaseRun {
    pub(super) fn open(
        server: &Server,
        name: &str,
        case: &Case,
        client: &dyn Client,
    ) -> Result<Self, String> {
        let tells = client.tells();
        let (clock, server_side, mock, mut document) = match server {
            Server::Mocks(mocks) => {
                // Who tells nothing lives in real time, and may open the authorize page by itself.
                let (clock, consent) = match tells {
                    true => (SharedClock::new(), Consent::Page),
                    false => (SharedClock::real(), Consent::Approve),
                };
                let origin = client.about().can("base.origin");
                let server_side = ServerSide::open(mocks, name, case, &clock, consent, origin)?;
                let document = server_side.document();
                (
                    clock,
                    Some(server_side),
                    Some(mocks.of(case).clone()),
                    document,
                )
            }
            Server::Live(service) => (SharedClock::real(), None, None, service.document()),
        };
        document["now"] = clock.handle().unix().as_secs().into();
        // As a file of Windows has it, and as an environment variable.
        if let Some(key) = document["app"]["jwt"]["private_key"].as_str() {
            let (crlf, escaped) = (key.replace('\n', "\r\n"), key.replace('\n', "\\n"));
            document["app"]["jwt"]["private_key_crlf"] = crlf.into();
            document["app"]["jwt"]["private_key_escaped"] = escaped.into();
        }
        let mut secrets = case.secrets.clone();
        let shown = [
            "app.web.client_secret",
            "app.jwt.private_key",
            "app.workload.client_secret",
            "pat",
            "sat",
        ];
        for path in shown {
            if let Found::One(Some(Value::String(secret))) = observe::find(&document, path) {
                // As one line, as an environment variable may have it, or as many.
                let secret = secret.replace("\\n", "\n");
                let lines = secret.lines().filter(|line| is_secret(line));
                secrets.extend(lines.map(str::to_owned));
            }
        }
        secrets.extend(api_keys(&document["app"]["workload"]).into_iter().flatten());
        Ok(Self {
            opening: Opening {
                id: case.id.clone(),
                base_url: document["base"].as_str().unwrap_or_default().to_owned(),
                clock: clock.clone(),
                ca_pem: mock.as_ref().and_then(|mock| mock.ca_pem()).map(Arc::from),
                mock,
                log: case.log,
                fresh: case.needs.iter().any(|need| need == "race"),
                patience: Duration::from_millis(case.limits.real_ms),
            },
            case: case.clone(),
            server_side,
            clock,
            tells,
            document,
            errors: Vec::new(),
            logs: Vec::new(),
            secrets,
            log: Vec::new(),
            stopped_at: None,
        })
    }

    pub(super) fn execute(&mut self, client: &mut dyn Client) -> Ended {
        let ended = self.steps(client);
        self.look();
        ended
    }

    /// Puts what both sides recorded into the document.
    fn look(&mut self) {
        let sleeps = self.clock.sleeps();
        let ms = sleeps
            .iter()
            .map(|sleep| u64::try_from(sleep.as_millis()).unwrap_or(u64::MAX));
        let ms: Vec<u64> = ms.collect();
        self.document["slept_ms"] = ms.iter().sum::<u64>().into();
        self.document["sleeps_ms"] = ms.into();
        self.document["logs"] = json!(self.logs);
        self.document["leaks"] = json!({
            "errors": self.leaks(&self.errors),
            "logs": self.leaks(&self.logs),
        });
        if let Some(server_side) = &self.server_side {
            server_side.look(&mut self.document);
        }
    }

    /// Which secrets a text shows.
    fn leaks(&self, texts: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for text in texts {
            found.extend(
                self.server_side
                    .iter()
                    .flat_map(|server_side| server_side.leaks_in(text)),
            );
            let own = self
                .secrets
                .iter()
                .filter(|secret| text.contains(secret.as_str()));
            found.extend(own.map(|_| "secret".to_owned()));
        }
        found
    }

    /// Why no check passes: the client says that it got something, and has asked nobody for it.
    pub(super) fn invented(&self) -> Option<String> {
        self.server_side.as_ref()?;
        let servers = ["/wire/all", "/elsewhere/requests"].map(|path| self.document.pointer(path));
        let requests = servers.into_iter().flatten().filter_map(Value::as_array);
        // The runner opens the authorize page itself.
        let mut requests = requests
            .flatten()
            .filter(|entry| entry["endpoint"] != "authorize");
        if requests.next().is_some() {
            return None;
        }
        let mut got = self.log.iter().filter(|entry| entry["came"] == "ok");
        let op = got.find_map(|entry| entry["do"].as_str().filter(|op| url_mode::is_asked(op)));
        op.map(|op| format!("{op} was ok, and no server received a request"))
    }

    /// Releases every request that is still held.
    pub(super) fn close(&self) {
        self.clock.unwatch();
        if let Some(server_side) = &self.server_side {
            server_side.close();
        }
    }

    pub(super) fn masked(&self, text: &str) -> String {
        observe::masked(text, &self.secrets)
    }

    pub(super) fn passed_ms(&self) -> u64 {
        u64::try_from(self.clock.handle().steady().as_millis()).unwrap_or(u64::MAX)
    }
}

impl CaseRun {
    /// An operation that begins, without its secrets: who asks for what.
    fn begin(&mut self, op: &str, args: &Map<String, Value>) {
        let open = [
            "kind", "as", "client", "device", "attempt", "provider", "callers", "ttl_s", "method",
            "name",
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

    /// What became of the operation that began last, and the requests that it made.
    fn end(&mut self, result: &Outcome) {
        let came = match result {
            Outcome::Ok(_) => json!("ok"),
            Outcome::Err(failure) => {
                let mut told = json!(failure);
                for said in told.as_object_mut().into_iter().flat_map(Map::values_mut) {
                    if let Some(text) = said.as_str() {
                        *said = self.masked(text).into();
                    }
                }
                json!({ "err": told })
            }
            Outcome::Unsupported(why) => json!({ "unsupported": self.masked(why) }),
        };
        if let Some(begun) = self.log.last_mut() {
            begun["came"] = came;
        }
        self.catch_up();
    }

    /// Requests that are not yet in the log.
    fn catch_up(&mut self) {
        self.log
            .extend(self.server_side.iter_mut().flat_map(ServerSide::new_lines));
    }

    /// What was done, which requests reached the server, and when the client slept; nothing of it shows a secret.
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

/// The secret of a workload as the platform sets it beside the pair: base64 of the id, a colon and the secret (protocol
/// §15.6). With padding it begins with the one without.
fn api_keys(workload: &Value) -> Option<[String; 2]> {
    let of = |name: &str| workload[name].as_str();
    let pair = format!("{}:{}", of("client_id")?, of("client_secret")?);
    Some([STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|alphabet| alphabet.encode(&pair)))
}

/// Long enough that hiding it hides nothing else, and no line around a key.
pub(super) fn is_secret(text: &str) -> bool {
    text.len() >= 6 && !text.starts_with('-')
}
