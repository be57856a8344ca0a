//! Codes and tokens: their list, their lineage, and their revocation.

use axum::extract::Path;
use bytes::Bytes;
use http::Uri;
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::reply::{Handled, Json, Problem, done, parse};
use crate::protocol::digest;
use crate::redact;
use crate::state::token_table;
use crate::web::in_world::InWorld;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeToken {
    token: String,
}

/// Revokes an access token, refresh token, PAT or SAT.
pub(super) async fn revoke(InWorld(world): InWorld, body: Bytes) -> Handled {
    change_token(&body, |token| world.state().revoke(token))
}

/// Removes the permissions of an access token, so that it gets 4101.
pub(super) async fn restrict(InWorld(world): InWorld, body: Bytes) -> Handled {
    change_token(&body, |token| world.state().restrict(token))
}

/// Applies `change`, which returns false if the token is unknown.
fn change_token(body: &[u8], change: impl FnOnce(&str) -> bool) -> Handled {
    let request: ChangeToken = parse(body, r#"{"token":"…"}"#)?;
    if change(&request.token) {
        return Ok(done());
    }
    let text = format!("unknown token {}", redact::mask(&request.token));
    Err(Problem::not_found(text))
}

const LISTED: usize = 1_000;

fn limit(uri: &Uri) -> Result<usize, Problem> {
    let mut limit = LISTED;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        match (name.as_ref(), value.parse()) {
            ("limit", Ok(n)) => limit = n,
            _ => return Err(Problem::bad("expected limit=N")),
        }
    }
    Ok(limit)
}

pub(super) async fn list(InWorld(world): InWorld, uri: Uri) -> Handled {
    let limit = limit(&uri)?;
    let state = world.state();
    Ok(Json(json!({
        "tokens": token_table::list(&state, limit),
        "evicted": token_table::evicted_count(&state),
    })))
}

pub(super) async fn family(
    InWorld(world): InWorld,
    Path(fingerprint): Path<String>,
    uri: Uri,
) -> Handled {
    let limit = limit(&uri)?;
    let wanted = digest::parse(&fingerprint).ok_or_else(|| {
        Problem::bad("a fingerprint is the first 16 hex digits of a token's SHA-256")
    })?;
    let state = world.state();
    let found = token_table::lineage(&state, wanted, limit);
    let (total, lineage) = found.ok_or_else(|| {
        Problem::not_found(
            "unknown fingerprint: no token or code has it, or was made from one that had it",
        )
    })?;
    Ok(Json(json!({ "total": total, "lineage": lineage })))
}
