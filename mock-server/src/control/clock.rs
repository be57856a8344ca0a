//! The clock of a world.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Handled, Json, Problem, parse};
use crate::web::in_world::InWorld;
use crate::world::World;

fn clock_value(world: &World) -> Value {
    let clock = world.state().settings.clock.clone();
    let now_ms = clock.unix_ms();
    let at = i64::try_from(now_ms).ok();
    let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    json!({
        "now_ms": now_ms,
        "now": at.map(|at| at.to_string()),
        "mode": if clock.is_frozen() { "frozen" } else { "real" },
    })
}

pub(super) async fn clock(InWorld(world): InWorld) -> Json {
    Json(clock_value(&world))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SetClock {
    advance_ms: Option<u64>,
    set: Option<String>,
    set_ms: Option<u64>,
    mode: Option<String>,
}

pub(super) async fn set_clock(InWorld(world): InWorld, body: Bytes) -> Handled {
    let clock = world.state().settings.clock.clone();
    let shape =
        r#"one of {"advance_ms":n}, {"set":"RFC 3339"}, {"set_ms":n}, {"mode":"real"|"frozen"}"#;
    let wrong = || Problem::bad(format!("expected {shape}"));
    match parse(&body, shape)? {
        SetClock {
            advance_ms: Some(ms),
            set: None,
            set_ms: None,
            mode: None,
        } => {
            clock.advance(Duration::from_millis(ms));
        }
        SetClock {
            advance_ms: None,
            set: Some(at),
            set_ms: None,
            mode: None,
        } => {
            let at: Timestamp = at.parse().map_err(|_| wrong())?;
            let ms = u64::try_from(at.as_millisecond()).map_err(|_| wrong())?;
            clock.set(Duration::from_millis(ms));
        }
        SetClock {
            advance_ms: None,
            set: None,
            set_ms: Some(ms),
            mode: None,
        } => {
            clock.set(Duration::from_millis(ms));
        }
        SetClock {
            advance_ms: None,
            set: None,
            set_ms: None,
            mode: Some(mode),
        } => match mode.as_str() {
            "frozen" => clock.freeze(),
            "real" => clock.run_real(),
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    }
    Ok(Json(clock_value(&world)))
}
