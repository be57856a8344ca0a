//! Faults and scripts, for tests in other processes.

use axum::extract::Path;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::reply::{Handled, Json, Problem, done, parse};
use crate::intercept::fault_spec::{FaultSpec, PlacedFaultSpec};
use crate::intercept::script::{ScriptEnd, ScriptStep};
use crate::intercept::selector::SelectorSpec;
use crate::limits::{MAX_FAULTS, MAX_SCRIPT_STEPS};
use crate::web::in_world::InWorld;
use crate::world::World;

pub(super) async fn place(InWorld(world): InWorld, body: Bytes) -> Handled {
    let spec: PlacedFaultSpec = parse(&body, &PlacedFaultSpec::shape())?;
    let (on, fault) = spec.placed().map_err(Problem::bad)?;
    room_for(&world, body.len())?;
    let placed = world.faults.place(on, fault, MAX_FAULTS);
    placed
        .map(|placed| Json(json!({ "id": placed.id })))
        .ok_or_else(|| full("faults"))
}

/// Refuses what nobody evicts if the worlds hold as much as they may.
pub(super) fn room_for(world: &World, bytes: usize) -> Result<(), Problem> {
    // Counts what was placed before.
    world.recount();
    let Some(worlds) = world.worlds() else {
        return Ok(());
    };
    if worlds.makes_room_for(bytes) {
        return Ok(());
    }
    let max = worlds.memory().max();
    let text = format!(
        "the worlds of this mock hold {max} bytes, and that is the maximum; remove worlds, faults or scripts, or start it with more: --max-memory MB"
    );
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, text))
}

fn full(what: &str) -> Problem {
    let text = format!("there are already {MAX_FAULTS} {what}; DELETE one of them, or POST /reset");
    Problem::new(StatusCode::CONFLICT, text)
}

pub(super) async fn list(InWorld(world): InWorld) -> Json {
    let all = world.faults.placed.all();
    let all: Vec<_> = all
        .iter()
        .map(|registered| {
            let (on, fault) = (&registered.item.on, &registered.item.fault);
            let counts = registered.item.counts();
            json!({
                "id": registered.id,
                "on": { "endpoint": on.endpoint, "grant": on.grant, "client_id": on.client, "path": on.path },
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
    Json(json!({ "faults": all }))
}

pub(super) async fn clear(InWorld(world): InWorld) -> Json {
    world.faults.placed.clear();
    done()
}

pub(super) async fn remove(InWorld(world): InWorld, Path(id): Path<String>) -> Handled {
    let registry = &world.faults.placed;
    let all = || {
        registry
            .all()
            .iter()
            .map(|registered| registered.id.clone())
            .collect()
    };
    removed(registry.remove(&id), "faults", all)
}

fn removed(there: bool, what: &str, all: impl FnOnce() -> Vec<String>) -> Handled {
    if there {
        return Ok(done());
    }
    let body = json!({ "error": format!("none of the {what} has this id"), what: all() });
    Err(Problem(StatusCode::NOT_FOUND, body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    on: SelectorSpec,
    then: Vec<StepSpec>,
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepSpec {
    error: Option<String>,
    status: Option<u16>,
    fault: Option<FaultSpec>,
    at: Option<String>,
    pass: Option<bool>,
}

impl StepSpec {
    fn step(self) -> Result<ScriptStep, Problem> {
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
            (Some(error), None, None, None, None) => Ok(ScriptStep::error(&error)),
            (Some(error), Some(status), None, None, None) => {
                ScriptStep::try_error_with(status, &error).map_err(Problem::bad)
            }
            (None, None, Some(fault), at, None) => {
                let fault = fault.fault(at.as_deref()).map_err(Problem::bad)?;
                Ok(ScriptStep::fault(fault))
            }
            (None, None, None, None, Some(true)) => Ok(ScriptStep::pass()),
            _ => Err(shape()),
        }
    }
}

pub(super) async fn run(InWorld(world): InWorld, body: Bytes) -> Handled {
    let shape = r#"{"on":{"endpoint":"token","grant":"refresh_token"?,"client_id":"…"?},"then":[{"error":"invalid_grant"},{"fault":{…}},{"pass":true}],"after":"pass"|"repeat"|"last"?}"#;
    let spec: Run = parse(&body, shape)?;
    let on = spec.on.on().map_err(Problem::bad)?;
    let after = match spec.after.as_deref() {
        None | Some("pass") => ScriptEnd::Pass,
        Some("repeat") => ScriptEnd::Repeat,
        Some("last") => ScriptEnd::Last,
        Some(_) => return Err(Problem::bad(r#"after is "pass", "repeat" or "last""#)),
    };
    if !(1..=MAX_SCRIPT_STEPS).contains(&spec.then.len()) {
        return Err(Problem::bad(format!(
            "then has 1 to {MAX_SCRIPT_STEPS} steps"
        )));
    }
    room_for(&world, body.len())?;
    let steps: Result<Vec<_>, _> = spec.then.into_iter().map(StepSpec::step).collect();
    let script = world.faults.run(on, steps?, after, MAX_FAULTS);
    script
        .map(|script| Json(json!({ "id": script.id })))
        .ok_or_else(|| full("scripts"))
}

pub(super) async fn stop(InWorld(world): InWorld, Path(id): Path<String>) -> Handled {
    let registry = &world.faults.scripts;
    let all = || {
        registry
            .all()
            .iter()
            .map(|registered| registered.id.clone())
            .collect()
    };
    removed(registry.remove(&id), "scripts", all)
}
