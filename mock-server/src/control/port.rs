//! The port of a world.

use axum::extract::OriginalUri;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Handled, Json, Problem, done, parse};
use crate::web::base_url::seen;
use crate::web::in_world::InWorld;
use crate::world::World;
use crate::world::own_port::PortError;

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        let status = match error {
            PortError::NotListening => StatusCode::NOT_IMPLEMENTED,
            PortError::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            PortError::Ended | PortError::Bind { .. } => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

/// Adds the port and its URL to the description of a world, if it has one. `base` is a URL of the mock, as the client sees it.
pub(super) fn describe(described: &mut Value, world: &World, base: &str) {
    if let (Some(port), Some(url)) = (world.port(), world.port_url(base)) {
        described["port"] = port.into();
        described["port_url"] = url.into();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    port: u16,
}

pub(super) async fn open(
    InWorld(world): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    let Open { port } = parse(&body, r#"{"port":0}, where 0 is a free one"#)?;
    world.open_port(port)?;
    let mut opened = json!({});
    describe(&mut opened, &world, &seen(&world, &headers, &original));
    Ok(Json(opened))
}

pub(super) async fn close(InWorld(world): InWorld) -> Handled {
    match world.close_port() {
        true => Ok(done()),
        false => Err(Problem::not_found(
            "this world does not have a port of its own",
        )),
    }
}
