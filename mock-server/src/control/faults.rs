//! Faults and scripts, for tests that drive the mock from other processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Filter, Handled, Problem, parse, respond};
use crate::faults::{After, DELAY, DRIP, Fault, LONGEST, Step};
use crate::on::At;
use crate::router::Shared;

/// Nobody drops these, so there is an end to them.
const MOST: usize = 64;
const MOST_STEPS: usize = 1_000;
const LONGEST_BODY: usize = 64 * 1024;

const FAULT: &str = r#"{"kind":"status|delay|hold|reset|close_before_body|truncate|garbage|slow_drip|redirect|wrong_content_type|empty_200|dup_header", and what the kind takes of "status":502,"ms":300,"at_byte":12,"body":"…","location":"…","header":{"name":"value"}}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: String,
    status: Option<u16>,
    ms: Option<u64>,
    at_byte: Option<usize>,
    body: Option<String>,
    location: Option<String>,
    header: Option<BTreeMap<String, String>>,
}

impl Asked {
    fn fault(self, at: Option<&str>) -> Result<Fault, Problem> {
        let fault = self.of_its_kind()?;
        for (name, given) in [
            ("status", self.status.is_some()),
            ("ms", self.ms.is_some()),
            ("at_byte", self.at_byte.is_some()),
            ("location", self.location.is_some()),
        ] {
            if given {
                fault.takes(name).map_err(Problem::bad)?;
            }
        }
        let fault = match self.body {
            Some(body) if body.len() > LONGEST_BODY => {
                return Err(Problem::bad(format!(
                    "body has at most {LONGEST_BODY} bytes"
                )));
            }
            Some(body) => fault.try_body(body.into()).map_err(Problem::bad)?,
            None => fault,
        };
        let mut headers = self.header.unwrap_or_default().into_iter();
        let fault = headers
            .try_fold(fault, |fault, (name, value)| {
                fault.try_header(&name, &value)
            })
            .map_err(Problem::bad)?;
        match at {
            Some(at) => Ok(fault.at(At::named(at).map_err(Problem::bad)?)),
            None => Ok(fault),
        }
    }

    fn of_its_kind(&self) -> Result<Fault, Problem> {
        let pause = |unsaid: Duration| match self.ms.map(Duration::from_millis) {
            None => Ok(unsaid),
            Some(ms) if (Duration::from_millis(1)..=LONGEST).contains(&ms) => Ok(ms),
            Some(_) => Err(Problem::bad(format!("ms is 1 to {}", LONGEST.as_millis()))),
        };
        Ok(match self.kind.as_str() {
            "status" => Fault::try_status(self.status.unwrap_or(502)).map_err(Problem::bad)?,
            "delay" => Fault::delay(pause(DELAY)?),
            "hold" => Fault::hold(),
            "reset" => Fault::reset(),
            "close_before_body" => Fault::close_before_body(),
            "truncate" => self
                .at_byte
                .map_or_else(Fault::truncate, Fault::truncate_at),
            "garbage" => Fault::garbage(),
            "slow_drip" => Fault::slow_drip(pause(DRIP)?),
            "redirect" => {
                let location = self.location.as_deref();
                let location = location.ok_or_else(|| Problem::bad("redirect needs a location"))?;
                let status = self.status.unwrap_or(302);
                Fault::try_redirect(status, location).map_err(Problem::bad)?
            }
            "wrong_content_type" => Fault::wrong_content_type(),
            "empty_200" => Fault::empty_200(),
            "dup_header" => Fault::dup_header(),
            _ => return Err(Problem::bad(format!("expected a fault: {FAULT}"))),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    on: Filter,
    fault: Asked,
    at: Option<String>,
    times: Option<u64>,
    skip: Option<u64>,
    probability: Option<f64>,
}

pub(super) async fn place(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    respond(try_place(&shared, &body))
}

fn try_place(shared: &Shared, body: &[u8]) -> Handled {
    let shape = format!(
        r#"{{"on":{{"endpoint":"token","grant":"refresh_token"?,"client_id":"…"?}},"fault":{FAULT},"times":2?,"skip":0?,"probability":1.0?,"at":"request"|"answer"?}}"#
    );
    let asked: Place = parse(body, &shape)?;
    let on = asked.on.on()?;
    let mut fault = asked.fault.fault(asked.at.as_deref())?;
    if let Some(times) = asked.times {
        fault = fault.times(times);
    }
    fault = fault.skip(asked.skip.unwrap_or(0));
    fault = fault
        .try_probability(asked.probability.unwrap_or(1.0))
        .map_err(Problem::bad)?;
    let placed = shared.faults.place(on, fault, MOST);
    placed
        .map(|placed| json!({ "id": placed.id }))
        .ok_or_else(|| full("faults"))
}

fn full(what: &str) -> Problem {
    let text = format!("there are {MOST} {what}; DELETE one of them, or POST /reset");
    Problem::new(StatusCode::CONFLICT, text)
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let all = shared.faults.placed.all();
    let all: Vec<_> = all
        .iter()
        .map(|kept| {
            let (on, fault) = (&kept.item.on, &kept.item.fault);
            let counts = kept.item.counts();
            json!({
                "id": kept.id,
                "on": { "endpoint": on.endpoint, "grant": on.grant, "client_id": on.client },
                "kind": fault.name(),
                "at": fault.at.name(),
                "times": Some(fault.times).filter(|times| *times < u64::MAX),
                "skip": fault.skip,
                "probability": fault.probability,
                "matched": counts.matched,
                "fired": counts.fired,
            })
        })
        .collect();
    respond(Ok(json!({ "faults": all })))
}

pub(super) async fn clear(State(shared): State<Arc<Shared>>) -> Response {
    shared.faults.placed.clear();
    respond(Ok(json!({ "ok": true })))
}

pub(super) async fn remove(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let shelf = &shared.faults.placed;
    let all = || shelf.all().iter().map(|kept| kept.id.clone()).collect();
    respond(removed(shelf.remove(&id), "faults", all))
}

fn removed(there: bool, what: &str, all: impl FnOnce() -> Vec<String>) -> Handled {
    if there {
        return Ok(json!({ "ok": true }));
    }
    let body = json!({ "error": format!("none of the {what} has this id"), what: all() });
    Err(Problem(StatusCode::NOT_FOUND, body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    on: Filter,
    then: Vec<AskedStep>,
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedStep {
    error: Option<String>,
    status: Option<u16>,
    fault: Option<Asked>,
    at: Option<String>,
    pass: Option<bool>,
}

impl AskedStep {
    fn step(self) -> Result<Step, Problem> {
        let shape = || {
            let text = r#"a step is {"error":"invalid_grant","status":400?}, {"fault":{…},"at":"request"|"answer"?} or {"pass":true}"#;
            Problem::bad(text)
        };
        let Self {
            error,
            status,
            fault,
            at,
            pass,
        } = self;
        match (error, status, fault, at, pass) {
            (Some(error), None, None, None, None) => Ok(Step::error(&error)),
            (Some(error), Some(status), None, None, None) => {
                Step::try_error_with(status, &error).map_err(Problem::bad)
            }
            (None, None, Some(fault), at, None) => Ok(Step::fault(fault.fault(at.as_deref())?)),
            (None, None, None, None, Some(true)) => Ok(Step::pass()),
            _ => Err(shape()),
        }
    }
}

pub(super) async fn run(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    respond(try_run(&shared, &body))
}

fn try_run(shared: &Shared, body: &[u8]) -> Handled {
    let shape = r#"{"on":{"endpoint":"token","grant":"refresh_token"?,"client_id":"…"?},"then":[{"error":"invalid_grant"},{"fault":{…}},{"pass":true}],"after":"pass"|"repeat"|"last"?}"#;
    let asked: Run = parse(body, shape)?;
    let on = asked.on.on()?;
    let after = match asked.after.as_deref() {
        None | Some("pass") => After::Pass,
        Some("repeat") => After::Repeat,
        Some("last") => After::Last,
        Some(_) => return Err(Problem::bad(r#"after is "pass", "repeat" or "last""#)),
    };
    if !(1..=MOST_STEPS).contains(&asked.then.len()) {
        return Err(Problem::bad(format!("then has 1 to {MOST_STEPS} steps")));
    }
    let steps: Result<Vec<_>, _> = asked.then.into_iter().map(AskedStep::step).collect();
    let script = shared.faults.run(on, steps?, after, MOST);
    script
        .map(|script| json!({ "id": script.id }))
        .ok_or_else(|| full("scripts"))
}

pub(super) async fn stop(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let shelf = &shared.faults.scripts;
    let all = || shelf.all().iter().map(|kept| kept.id.clone()).collect();
    respond(removed(shelf.remove(&id), "scripts", all))
}
