//! API calls of the user's own: added, listed and removed.

use std::sync::Arc;

use axum::extract::Path;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::faults::room_for;
use super::reply::{Handled, Json, Problem, done, parse};
use crate::intercept::api_spec::{ApiSpec, SHAPE};
use crate::limits::MAX_APIS;
use crate::web::in_world::InWorld;

pub(super) async fn add(InWorld(world): InWorld, body: Bytes) -> Handled {
    let spec: ApiSpec = parse(&body, SHAPE)?;
    let api = spec.api().map_err(|(_, why)| Problem::bad(why))?;
    room_for(&world, body.len())?;
    let id = world.apis.put(Arc::new(api), MAX_APIS).ok_or_else(|| {
        let text =
            format!("there are already {MAX_APIS} API calls; DELETE one of them, or POST /reset");
        Problem::new(StatusCode::CONFLICT, text)
    })?;
    Ok(Json(json!({ "id": id })))
}

pub(super) async fn list(InWorld(world): InWorld) -> Json {
    let all: Vec<_> = world
        .apis
        .all()
        .iter()
        .map(|named| {
            let api = &named.api;
            json!({
                "id": named.id,
                "method": api.method.as_str(),
                "path": api.path,
                "answers": api.answers(),
                "status": api.status_code().as_u16(),
                "bytes": api.size(),
            })
        })
        .collect();
    Json(json!({ "api": all }))
}

pub(super) async fn clear(InWorld(world): InWorld) -> Json {
    world.apis.clear();
    done()
}

pub(super) async fn remove(InWorld(world): InWorld, Path(id): Path<String>) -> Handled {
    if world.apis.remove(&id) {
        return Ok(done());
    }
    let all: Vec<_> = world.apis.all().into_iter().map(|named| named.id).collect();
    let body = json!({ "error": "none of the API calls has this id", "api": all });
    Err(Problem(StatusCode::NOT_FOUND, body))
}
