//! Tokens: which there are, which came from which, and what their owner does to them.

use axum::extract::Path;
use axum::response::Response;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::reply::{Problem, parse, respond};
use crate::protocol::digest;
use crate::redact;
use crate::state::token_table;
use crate::web::in_world::InWorld;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeToken {
    token: String,
}

/// Kills an access token, refresh token, PAT or SAT.
pub(super) async fn revoke(InWorld(shared): InWorld, body: Bytes) -> Response {
    change_token(&body, |token| shared.world().revoke(token))
}

/// Takes an access token's permission away, so that it gets 4101.
pub(super) async fn restrict(InWorld(shared): InWorld, body: Bytes) -> Response {
    change_token(&body, |token| shared.world().restrict(token))
}

/// `change`: false if the token is not known.
fn change_token(body: &[u8], change: impl FnOnce(&str) -> bool) -> Response {
    let handled =
        parse(body, r#"{"token":"…"}"#).and_then(|asked: ChangeToken| match change(&asked.token) {
            true => Ok(json!({ "ok": true })),
            false => {
                let text = format!("unknown token {}", redact::mask(&asked.token));
                Err(Problem::new(StatusCode::NOT_FOUND, text))
            }
        });
    respond(handled)
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

pub(super) async fn list(InWorld(shared): InWorld, uri: Uri) -> Response {
    respond(limit(&uri).map(|limit| {
        let world = shared.world();
        json!({
            "tokens": token_table::list(&world, limit),
            "evicted": token_table::forgotten(&world),
        })
    }))
}

pub(super) async fn family(
    InWorld(shared): InWorld,
    Path(fingerprint): Path<String>,
    uri: Uri,
) -> Response {
    respond(limit(&uri).and_then(|limit| {
        let wanted = digest::parse(&fingerprint).ok_or_else(|| {
            Problem::bad("a fingerprint is the first 16 hex digits of a token's SHA-256")
        })?;
        let world = shared.world();
        let found = token_table::lineage(&world, wanted, limit);
        let (total, lineage) = found.ok_or_else(|| {
            let text = "no token or code with this fingerprint, and none that came from it";
            Problem::new(StatusCode::NOT_FOUND, text)
        })?;
        Ok(json!({ "total": total, "lineage": lineage }))
    }))
}
