//! The actions of the dashboard's forms.

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::{fault_form, routes};
use crate::html::form::Fields;
use crate::html::language;
use crate::html::page::{Detail, Message, Mood, page};
use crate::html::texts::Texts;
use crate::intercept::fault_spec::PlacedFaultSpec;
use crate::limits::MAX_FAULTS;
use crate::state::devices::{self, DeviceAction, UserCodeError};
use crate::web::body::form;
use crate::web::in_world::InWorld;
use crate::web::routes::into_response;
use crate::world::World;

/// The reason why a form changed nothing, with the status of the answer.
struct Problem {
    status: StatusCode,
    text: &'static str,
    /// What is wrong with a field, in English.
    why: Option<String>,
}

impl From<(StatusCode, &'static str)> for Problem {
    fn from((status, text): (StatusCode, &'static str)) -> Self {
        Self {
            status,
            text,
            why: None,
        }
    }
}

pub(super) async fn act(InWorld(world): InWorld, request: Request) -> Response {
    let t = language::texts(request.headers());
    // A journal that the user has paused stays paused.
    let paused = request.uri().query() == Some("paused=1");
    let fields = Fields::of(&form(request).await);
    let reply = match done(&world, t, &fields) {
        // A reload of the target does not repeat the action (RFC 9110 §15.4.4).
        Ok(section) => {
            let mut reply = http::Response::default();
            *reply.status_mut() = StatusCode::SEE_OTHER;
            let query = if paused { "?paused=1" } else { "" };
            let to = HeaderValue::from_str(&format!("./{query}#{section}"));
            let to = to.expect("made of fixed texts");
            reply.headers_mut().insert(LOCATION, to);
            reply
        }
        Err(Problem { status, text, why }) => {
            let detail = |value| Detail {
                id: "why",
                name: t.message,
                value,
            };
            let details: Vec<_> = why.as_deref().map(detail).into_iter().collect();
            let message = Message {
                t,
                title: t.not_done,
                text,
                mood: Mood::Failed,
                details: &details,
                on: Some((t.back, "./")),
            };
            page(status, t, &message)
        }
    };
    routes::log(&world, &http::Method::POST, "/_mock/act", reply.status());
    into_response(reply)
}

/// Carries out the action. Returns the section of the dashboard that shows its result.
fn done(world: &World, t: &'static Texts, fields: &Fields) -> Result<&'static str, Problem> {
    let id = fields.get("id");
    match (fields.get("do"), fields.get("action")) {
        ("clock", _) => {
            move_clock(world, fields.get("by"))
                .ok_or((StatusCode::BAD_REQUEST, t.not_understood))?;
            Ok("clock")
        }
        ("device", action) => {
            let action = DeviceAction::named(action);
            let action = action.ok_or((StatusCode::BAD_REQUEST, t.not_understood))?;
            decide(world, t, fields.get("user_code"), action)?;
            Ok("devices")
        }
        ("fault", _) => {
            place(world, t, fields)?;
            Ok("faults")
        }
        ("fault_off", "remove") => there(t, world.faults.placed.remove(id)),
        ("script", "remove") => there(t, world.faults.scripts.remove(id)),
        ("gate", action @ ("release" | "remove")) => {
            let gate = world.gates.named(id);
            if let Some(gate) = &gate {
                match action {
                    "release" => gate.release_waiting(),
                    _ => world.gates.remove(gate),
                }
            }
            there(t, gate.is_some())
        }
        _ => Err((StatusCode::BAD_REQUEST, t.not_understood).into()),
    }
}

fn there(t: &'static Texts, found: bool) -> Result<&'static str, Problem> {
    match found {
        true => Ok("faults"),
        false => Err((StatusCode::NOT_FOUND, t.not_there).into()),
    }
}

/// Moves the clock by seconds, or sets its mode. Returns none if the text is neither.
fn move_clock(world: &World, by: &str) -> Option<()> {
    let clock = world.state().settings.clock.clone();
    match by {
        "freeze" => clock.freeze(),
        "real" => clock.run_real(),
        seconds => clock.advance(Duration::from_secs(seconds.parse().ok()?)),
    }
    Some(())
}

fn decide(
    world: &World,
    t: &'static Texts,
    user_code: &str,
    action: DeviceAction,
) -> Result<(), Problem> {
    let mut state = world.state();
    let now = state.now_ms();
    let decided = devices::decide(&mut state, user_code, action, None, now);
    decided.map_err(|problem| {
        let problem = match problem {
            UserCodeError::Unknown => (StatusCode::NOT_FOUND, t.unknown_code),
            UserCodeError::Expired => (StatusCode::CONFLICT, t.expired_code),
            UserCodeError::Decided => (StatusCode::CONFLICT, t.used_code),
        };
        problem.into()
    })
}

fn place(world: &World, t: &'static Texts, fields: &Fields) -> Result<(), Problem> {
    let placed = fault_form::fault(fields).and_then(PlacedFaultSpec::placed);
    let (on, fault) = placed.map_err(|why| Problem {
        status: StatusCode::BAD_REQUEST,
        text: t.not_understood,
        why: Some(why),
    })?;
    let placed = world.faults.place(on, fault, MAX_FAULTS);
    placed
        .map(|_| ())
        .ok_or_else(|| (StatusCode::CONFLICT, t.no_room).into())
}
