//! The journal and its explanations.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use serde_json::json;
use url::form_urlencoded;

use super::{Problem, respond};
use crate::router::Shared;

pub(super) async fn requests(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or("").as_bytes();
    let mut filter = Filter::default();
    for (name, value) in form_urlencoded::parse(query) {
        let value = value.into_owned();
        let number = value.parse();
        match (name.as_ref(), number) {
            ("endpoint", _) => filter.endpoint = Some(value),
            ("client_id", _) => filter.client = Some(value),
            ("grant", _) => filter.grant = Some(value),
            ("since", Ok(since)) => filter.since = since,
            ("limit", Ok(limit)) => filter.limit = Some(limit),
            _ => {
                let text = "filters are endpoint, client_id, grant, since=N and limit=N";
                return respond(Err(Problem::bad(text)));
            }
        }
    }
    let world = shared.world();
    let newest_first = world.journal.iter().rev().filter(|entry| {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == value)
        };
        entry.seq > filter.since
            && is(&filter.endpoint, Some(entry.endpoint))
            && is(&filter.client, entry.client.as_deref())
            && is(&filter.grant, entry.grant)
    });
    let limit = filter.limit.and_then(|limit| usize::try_from(limit).ok());
    let mut found: Vec<_> = newest_first.take(limit.unwrap_or(usize::MAX)).collect();
    found.reverse();
    respond(Ok(json!({ "requests": found })))
}

#[derive(Default)]
struct Filter {
    endpoint: Option<String>,
    client: Option<String>,
    grant: Option<String>,
    /// Entries with a greater number.
    since: u64,
    /// The newest so many.
    limit: Option<u64>,
}

pub(super) async fn forget_requests(State(shared): State<Arc<Shared>>) -> Response {
    shared.world().journal.clear();
    respond(Ok(json!({ "ok": true })))
}

pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    Path(logid): Path<String>,
) -> Response {
    let world = shared.world();
    let found = world
        .journal
        .find(&logid)
        .map(|entry| json!(entry.explain()));
    respond(found.ok_or_else(|| {
        let text = "no request with this log id, or it is no longer in the journal";
        Problem::new(StatusCode::NOT_FOUND, text)
    }))
}
