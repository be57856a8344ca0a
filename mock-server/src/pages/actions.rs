//! What the dashboard's forms do.

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde_json::{from_value, json};

use super::routes;
use crate::html::form::Fields;
use crate::html::language;
use crate::html::page::{Message, page};
use crate::html::texts::Texts;
use crate::intercept::fault_spec::Place;
use crate::limits::MAX_FAULTS;
use crate::state::devices;
use crate::state::devices::{DeviceAction, NotWaiting};
use crate::web::body::form;
use crate::web::in_world::InWorld;
use crate::web::routes::into_response;
use crate::world::Shared;

/// Why a form changed nothing.
type Problem = (StatusCode, &'static str);

pub(super) async fn act(InWorld(shared): InWorld, request: Request) -> Response {
    let t = language::texts(request.headers());
    // Who has stopped the journal finds it so again.
    let paused = request.uri().query() == Some("paused=1");
    let fields = Fields::of(&form(request).await);
    let reply = match done(&shared, t, &fields) {
        // A reload of what it leads to does nothing again (RFC 9110 §15.4.4).
        Ok(section) => {
            let mut reply = http::Response::default();
            *reply.status_mut() = StatusCode::SEE_OTHER;
            let query = if paused { "?paused=1" } else { "" };
            let to = HeaderValue::from_str(&format!("./{query}#{section}"));
            let to = to.expect("our own words");
            reply.headers_mut().insert(LOCATION, to);
            reply
        }
        Err((status, text)) => {
            let message = Message {
                t,
                title: t.not_done,
                text,
                failed: true,
                details: &[],
                on: Some((t.back, "./")),
            };
            page(status, t, &message)
        }
    };
    routes::log(&http::Method::POST, "/_mock/act", reply.status());
    into_response(reply)
}

/// The section that shows what was done.
fn done(shared: &Shared, t: &'static Texts, fields: &Fields) -> Result<&'static str, Problem> {
    let id = fields.get("id");
    match (fields.get("do"), fields.get("action")) {
        ("clock", _) => {
            move_clock(shared, fields.get("by"))
                .ok_or((StatusCode::BAD_REQUEST, t.not_understood))?;
            Ok("clock")
        }
        ("device", action) => {
            let action = DeviceAction::named(action);
            let action = action.ok_or((StatusCode::BAD_REQUEST, t.not_understood))?;
            decide(shared, t, fields.get("user_code"), action)?;
            Ok("devices")
        }
        ("fault", _) => {
            place(shared, t, fields)?;
            Ok("faults")
        }
        ("fault_off", "remove") => there(t, shared.faults.placed.remove(id)),
        ("script", "remove") => there(t, shared.faults.scripts.remove(id)),
        ("gate", action @ ("release" | "remove")) => {
            let held = shared.gates.named(id);
            if let Some(held) = &held {
                match action {
                    "release" => held.release_waiting(),
                    _ => shared.gates.remove(held),
                }
            }
            there(t, held.is_some())
        }
        _ => Err((StatusCode::BAD_REQUEST, t.not_understood)),
    }
}

fn there(t: &'static Texts, found: bool) -> Result<&'static str, Problem> {
    match found {
        true => Ok("faults"),
        false => Err((StatusCode::NOT_FOUND, t.not_there)),
    }
}

/// Seconds, or how it is to run.
fn move_clock(shared: &Shared, by: &str) -> Option<()> {
    let clock = shared.world().settings.clock.clone();
    match by {
        "freeze" => clock.freeze(),
        "real" => clock.run_real(),
        seconds => clock.advance(Duration::from_secs(seconds.parse().ok()?)),
    }
    Some(())
}

fn decide(
    shared: &Shared,
    t: &'static Texts,
    user_code: &str,
    action: DeviceAction,
) -> Result<(), Problem> {
    let mut world = shared.world();
    let now = world.settings.clock.unix_ms();
    devices::decide(&mut world, user_code, action, None, now).map_err(|problem| match problem {
        NotWaiting::Unknown => (StatusCode::NOT_FOUND, t.unknown_code),
        NotWaiting::Expired => (StatusCode::CONFLICT, t.expired_code),
        NotWaiting::Decided => (StatusCode::CONFLICT, t.used_code),
    })
}

fn place(shared: &Shared, t: &'static Texts, fields: &Fields) -> Result<(), Problem> {
    let asked = json!({
        "on": { "endpoint": fields.get("endpoint") },
        "fault": { "kind": fields.get("kind") },
        "times": 1,
    });
    let asked: Option<Place> = from_value(asked).ok();
    let placed = asked.and_then(|asked| asked.placed().ok());
    let (on, fault) = placed.ok_or((StatusCode::BAD_REQUEST, t.not_understood))?;
    let placed = shared.faults.place(on, fault, MAX_FAULTS);
    placed.map(|_| ()).ok_or((StatusCode::CONFLICT, t.no_room))
}
