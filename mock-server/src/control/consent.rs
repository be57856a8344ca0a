//! Decisions of a user about authorize URLs and devices.

use axum::extract::{OriginalUri, Path};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::reply::{Handled, Json, Problem, done, parse};
use crate::net::addressing::below;
use crate::oauth::context::Decider;
use crate::oauth::headless;
use crate::state::app::Consent;
use crate::state::devices::{self, DeviceAction, UserCodeError};
use crate::web::base_url::base;
use crate::web::in_world::InWorld;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    url: String,
    action: String,
    user: Option<String>,
}

pub(super) async fn authorize(
    InWorld(world): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    let mount = original
        .path()
        .strip_suffix("/_mock/v1/authorize")
        .unwrap_or("");
    let base = base(&world, &headers, &original, "/_mock/v1/authorize");
    let shape = r#"{"url":"…/authorize?…","action":"approve"|"deny","user":"alice"?}"#;
    let request: Authorize = parse(&body, shape)?;
    let consent = match request.action.as_str() {
        "approve" => Consent::Approve,
        "deny" => Consent::Deny,
        _ => return Err(Problem::bad("action is \"approve\" or \"deny\"")),
    };
    let mut state = world.state();
    let user = match &request.user {
        None => state.user.clone(),
        Some(name) => {
            let users = &state.settings.users;
            let found = users.iter().find(|user| user.name == *name);
            found.cloned().ok_or_else(|| {
                let names: Vec<_> = users.iter().map(|user| user.name.as_str()).collect();
                Problem::bad(format!(
                    "unknown user; expected one of {}",
                    names.join(", ")
                ))
            })?
        }
    };
    let url = Url::parse("http://localhost")
        .expect("a URL")
        .join(&request.url);
    let url = url.map_err(|_| Problem::bad("url is not a valid URL"))?;
    let path = below(url.path(), &base, mount);
    let decider = Decider { user, consent };
    match headless::authorize(&mut state, &base, path, url.query(), decider) {
        Ok(redirect) => Ok(Json(json!({ "redirect": redirect }))),
        Err(refused) => {
            let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
            Err(Problem(status, json!(refused)))
        }
    }
}

pub(super) async fn devices(InWorld(world): InWorld) -> Json {
    let state = world.state();
    let now = state.now_ms();
    let pending: Vec<_> = devices::all_waiting(&state, now)
        .map(|device| {
            json!({
                "user_code": device.user_code,
                "client_id": state.app(device.app).client_id,
                "workspace_id": device.workspace,
                "expires_in_ms": device.expires_ms - now,
                "polled": device.last_poll.is_some(),
            })
        })
        .collect();
    Json(json!({ "pending": pending }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecideDevice {
    action: String,
}

pub(super) async fn decide_device(
    InWorld(world): InWorld,
    Path(user_code): Path<String>,
    body: Bytes,
) -> Handled {
    let request: DecideDevice = parse(&body, r#"{"action":"approve"|"deny"|"expire"}"#)?;
    let action = DeviceAction::named(&request.action)
        .ok_or_else(|| Problem::bad(r#"action is "approve", "deny" or "expire""#))?;
    let mut state = world.state();
    let now = state.now_ms();
    let decided = devices::decide(&mut state, &user_code, action, None, now);
    decided.map_err(|problem| {
        let status = match problem {
            UserCodeError::Unknown => StatusCode::NOT_FOUND,
            UserCodeError::Expired | UserCodeError::Decided => StatusCode::CONFLICT,
        };
        Problem::new(status, problem.text())
    })?;
    Ok(done())
}
