//! The server's side of a case: the worlds of the mock servers, their controls, and the requests that reached them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use coze_auth_mock::{Consent, CozeAuthMock, MockWorld};
use serde_json::{Map, Value, json};

use url::Url;

use super::controls::Controls;
use super::relay::Relay;
use super::wire_log;
use crate::case::Case;
use crate::clock::SharedClock;

/// Two mock servers: the second is another origin, where no credential has any business. A third one is https, for cases
/// that need it.
#[derive(Debug)]
pub(super) struct Mocks {
    mock: Arc<CozeAuthMock>,
    elsewhere: Arc<CozeAuthMock>,
    https: LazyLock<Arc<CozeAuthMock>>,
}

impl Mocks {
    pub(super) fn start() -> Self {
        let start = || {
            let mock = CozeAuthMock::builder().seed(1).start_blocking();
            Arc::new(mock.expect("a free port on 127.0.0.1"))
        };
        Self {
            mock: start(),
            elsewhere: start(),
            https: LazyLock::new(|| {
                let mock = CozeAuthMock::builder().seed(1).tls().start_blocking();
                Arc::new(mock.expect("a free port on 127.0.0.1"))
            }),
        }
    }

    /// The one on which a case runs.
    pub(super) fn of(&self, case: &Case) -> &Arc<CozeAuthMock> {
        match case.needs.iter().any(|need| need == "https") {
            true => &self.https,
            false => &self.mock,
        }
    }
}

/// A world of each mock server, for one case.
pub(super) struct ServerSide {
    pub(super) controls: Controls,
    world: MockWorld,
    /// The URL of the world for this client, without the relay.
    base: String,
    elsewhere: Option<MockWorld>,
    elsewhere_mock: Arc<CozeAuthMock>,
    /// For a case that asks for connections.
    relay: Option<Relay>,
    /// How many requests to each server are in the log.
    logged: [usize; 2],
}

impl ServerSide {
    /// `origin`: the client knows hosts, and no paths behind them.
    pub(super) fn open(
        mocks: &Mocks,
        name: &str,
        case: &Case,
        clock: &SharedClock,
        consent: Consent,
        origin: bool,
    ) -> Result<Self, String> {
        // The same seed for every case: what it sees does not depend on the cases before.
        let world = |mock: &CozeAuthMock, settings: &str| {
            let builder = CozeAuthMock::builder().seed(1).consent(consent);
            let builder = builder.toml(settings);
            let builder = builder.map_err(|errors| errors.to_string())?;
            mock.make_world(name, builder.clock(clock.handle()))
                .map_err(|error| error.to_string())
        };
        let elsewhere = match uses_elsewhere(case) {
            true => Some(world(&mocks.elsewhere, "")?),
            false => None,
        };
        let mock = mocks.of(case);
        let world = world(mock, &settings(case))?;
        let base = match origin {
            true => world.open_port(0).map_err(|error| error.to_string())?,
            false => world.base_url().to_owned(),
        };
        let relay = match asks_for_connections(case) {
            true => Some(Relay::to(address(&base)?).map_err(|error| error.to_string())?),
            false => None,
        };
        Ok(Self {
            controls: Controls {
                mock: mock.clone(),
                name: name.to_owned(),
            },
            world,
            base,
            relay,
            elsewhere,
            elsewhere_mock: mocks.elsewhere.clone(),
            logged: [0; 2],
        })
    }

    /// What steps may name of it before anything is done.
    pub(super) fn document(&self) -> Value {
        let info = self.world.info();
        let mut document = json!({
            "base": self.base_url(),
            "base_with_path": self.world.base_url(),
            "app": {},
        });
        for app in info["apps"].as_array().into_iter().flatten() {
            let kind = app["kind"].as_str().unwrap_or_default();
            document["app"][kind] = app.clone();
        }
        if let Some(paths) = info["workload_paths"].as_object() {
            for (name, path) in paths {
                let url = format!("{}{}", self.base_url(), path.as_str().unwrap_or_default());
                document["app"]["workload"][format!("{name}_endpoint")] = url.into();
            }
        }
        for token in info["tokens"].as_array().into_iter().flatten() {
            let kind = token["kind"].as_str().unwrap_or_default();
            document[kind] = token["value"].clone();
        }
        if let Some(elsewhere) = &self.elsewhere {
            document["elsewhere"] = json!({ "base": elsewhere.base_url() });
        }
        document
    }

    fn base_url(&self) -> String {
        match (&self.relay, Url::parse(&self.base)) {
            (Some(relay), Ok(mut url)) => {
                let _ = url.set_port(Some(relay.address().port()));
                url.as_str().trim_end_matches('/').to_owned()
            }
            _ => self.base.clone(),
        }
    }

    /// Puts the requests, and the secrets in them, into the document.
    pub(super) fn look(&self, document: &mut Value) {
        let requests = self.world.requests();
        document["wire"] = wire_log::wire(&requests);
        document["gaps_ms"] = wire_log::gaps(&requests);
        let rules = requests.iter().filter_map(|entry| entry.outcome.rule);
        document["rules"] = rules.collect();
        if let Some(elsewhere) = &self.elsewhere {
            document["elsewhere"]["requests"] = json!(elsewhere.requests());
        }
        document["leaks"]["wire"] = json!(self.world.leaks());
        if let Some(relay) = &self.relay {
            document["connections"] = json!({ "open": relay.open() });
        }
    }

    /// Which of the secrets that it knows a text shows.
    pub(super) fn leaks_in(&self, text: &str) -> Vec<String> {
        let known = self.world.leaks_in(text);
        known.iter().map(|leak| leak.kind.to_owned()).collect()
    }

    /// The requests since the last call, a line each.
    pub(super) fn new_lines(&mut self) -> Vec<Value> {
        let worlds = [
            ("mock", Some(&self.world)),
            ("elsewhere", self.elsewhere.as_ref()),
        ];
        let mut all = Vec::new();
        for ((server, world), logged) in worlds.into_iter().zip(&mut self.logged) {
            let new = world.map(|world| wire_log::lines(server, world, *logged));
            let new = new.unwrap_or_default();
            *logged += new.len();
            all.extend(new);
        }
        all
    }

    /// Releases every request that is still held.
    pub(super) fn close(&self) {
        drop(self.controls.call("DELETE /faults", &Map::new()));
    }
}

/// A mock has room for so many worlds, and nobody looks at this one again.
impl Drop for ServerSide {
    fn drop(&mut self) {
        self.controls.mock.remove_world(&self.controls.name);
        self.elsewhere_mock.remove_world(&self.controls.name);
    }
}

/// Sections of TOML; scalars of both languages look the same.
fn settings(case: &Case) -> String {
    let mut text = String::new();
    for (section, value) in &case.mock {
        let tables = match value {
            Value::Array(tables) => tables.iter().map(|table| ("[[", table, "]]")).collect(),
            table => vec![("[", table, "]")],
        };
        for (open, table, close) in tables {
            text += &format!("{open}{section}{close}\n");
            for (name, value) in table.as_object().into_iter().flatten() {
                text += &format!("{name:?} = {value}\n");
            }
        }
    }
    text
}

fn asks_for_connections(case: &Case) -> bool {
    let mut checks = case.checks.iter();
    checks.any(|check| check.at.starts_with("connections."))
}

fn address(base: &str) -> Result<SocketAddr, String> {
    let url = Url::parse(base).map_err(|error| error.to_string())?;
    let port = url.port().ok_or_else(|| format!("{base} has no port"))?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
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
