//! Actions of the owner of an app.

use std::sync::Arc;

use axum::extract::Path;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::reply::{Handled, Json, Problem, done, parse};
use crate::config::apps::parse_public_key;
use crate::error::KeyError;
use crate::state::app::{AppKind, Key};
use crate::state::{keys, ready_made};
use crate::web::in_world::InWorld;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeApp {
    enabled: bool,
}

pub(super) async fn change_app(
    InWorld(world): InWorld,
    Path(client_id): Path<String>,
    body: Bytes,
) -> Handled {
    let request: ChangeApp = parse(&body, r#"{"enabled":true|false}"#)?;
    let mut state = world.state();
    let mut apps = Arc::make_mut(&mut state.apps).iter_mut();
    let found = apps.find(|app| !app.removed && app.client_id == client_id);
    let app = found.ok_or_else(|| Problem::not_found("unknown client id"))?;
    app.enabled = request.enabled;
    Ok(done())
}

fn refused(error: &KeyError) -> Problem {
    let status = match error {
        KeyError::UnknownApp | KeyError::UnknownKey => StatusCode::NOT_FOUND,
        KeyError::Taken | KeyError::Full => StatusCode::CONFLICT,
        KeyError::NotJwt | KeyError::NotAKey(_) | KeyError::BadKid => StatusCode::BAD_REQUEST,
    };
    Problem::new(status, error.to_string())
}

pub(super) async fn list_keys(InWorld(world): InWorld, Path(client_id): Path<String>) -> Handled {
    let state = world.state();
    let app = state.app_named(&client_id).map(|app| state.app(app));
    let app = app.ok_or_else(|| refused(&KeyError::UnknownApp))?;
    if app.kind != AppKind::Jwt {
        return Err(refused(&KeyError::NotJwt));
    }
    let keys = app.keys.iter();
    let keys: Vec<_> = keys
        .map(|key| json!({ "kid": key.kid, "development": key.development }))
        .collect();
    Ok(Json(json!({ "keys": keys })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddKey {
    kid: String,
    public_pem: Option<String>,
    development: Option<bool>,
}

pub(super) async fn add_key(
    InWorld(world): InWorld,
    Path(client_id): Path<String>,
    body: Bytes,
) -> Handled {
    let shape = r#"{"kid":"k2","public_pem":"-----BEGIN PUBLIC KEY-----…"}, or "development":true instead of public_pem"#;
    let AddKey {
        kid,
        public_pem,
        development,
    } = parse(&body, shape)?;
    let (public, development) = match (public_pem, development) {
        (Some(pem), None | Some(false)) => {
            let key = parse_public_key(&pem);
            (key.map_err(|why| refused(&KeyError::NotAKey(why)))?, false)
        }
        (None, Some(true)) => (ready_made::public_key(), true),
        _ => return Err(Problem::bad(format!("expected {shape}"))),
    };
    let key = Key {
        kid,
        public,
        development,
    };
    let mut state = world.state();
    let added = keys::add(&mut state.apps, &client_id, key);
    added.map_err(|error| refused(&error))?;
    Ok(done())
}

pub(super) async fn remove_key(
    InWorld(world): InWorld,
    Path((client_id, kid)): Path<(String, String)>,
) -> Handled {
    let mut state = world.state();
    let removed = keys::remove(&mut state.apps, &client_id, &kid);
    removed.map_err(|error| refused(&error))?;
    Ok(done())
}
