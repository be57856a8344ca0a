//! The journal: its requests, the next of them, in other formats, and why they were answered so.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use http::{StatusCode, Uri};
use serde_json::json;
use url::form_urlencoded;

use super::reply::{Handled, Problem, plain, respond};
use crate::journal::entry::JournalEntry;
use crate::journal::filter::Calls;
use crate::journal::record::Kept;
use crate::journal::{Journal, export};
use crate::limits::{DEFAULT_WAIT_MS, MAX_WAIT_MS, MAX_WAITING_CLIENTS};
use crate::web::in_world::InWorld;
use crate::web::journal_stream::full;
use crate::world::Shared;
use crate::world::wait::Awaited;

pub(super) fn too_many_wait(shared: &Shared) -> Option<Problem> {
    let text = format!("{MAX_WAITING_CLIENTS} clients wait for requests already");
    full(shared).then(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, text))
}

#[derive(Default)]
pub(super) struct Filter {
    calls: Calls,
    /// Entries with a greater number.
    since: u64,
    /// The newest so many.
    limit: Option<u64>,
    wait_ms: Option<u64>,
}

/// `numbers` are the parameters beside those of [`Calls`].
fn filter(uri: &Uri, numbers: &[&str]) -> Result<Filter, Problem> {
    let mut filter = Filter::default();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        if filter.calls.set(&name, &value).map_err(Problem::bad)? {
            continue;
        }
        let number = value.parse().ok().filter(|_| numbers.contains(&&*name));
        match (&*name, number) {
            ("since" | "after", Some(since)) => filter.since = since,
            ("limit", Some(limit)) => filter.limit = Some(limit),
            ("timeout_ms", Some(ms)) if ms <= MAX_WAIT_MS => filter.wait_ms = Some(ms),
            _ => {
                let text = format!(
                    "filters are endpoint, client_id, grant, status, error, rule, fault and, each a number, {}",
                    numbers.join(", ")
                );
                return Err(Problem::bad(text));
            }
        }
    }
    Ok(filter)
}

/// Oldest first.
fn filtered(journal: &Journal, filter: &Filter) -> Vec<JournalEntry> {
    let newest_first = journal.iter().rev();
    let newest_first = newest_first.take_while(|entry| entry.seq > filter.since);
    let limit = filter.limit.and_then(|limit| usize::try_from(limit).ok());
    let found = newest_first.filter(|entry| filter.calls.fit(entry));
    let found = found.take(limit.unwrap_or(usize::MAX)).map(Kept::show);
    let mut found: Vec<_> = found.collect();
    found.reverse();
    found
}

const LIST: [&str; 2] = ["since", "limit"];

pub(super) async fn requests(InWorld(shared): InWorld, uri: Uri) -> Response {
    respond(filter(&uri, &LIST).map(|filter| {
        let world = shared.world();
        json!({ "requests": filtered(&world.journal, &filter) })
    }))
}

pub(super) async fn har(InWorld(shared): InWorld, uri: Uri) -> Response {
    respond(filter(&uri, &LIST).map(|filter| {
        let world = shared.world();
        let found = filtered(&world.journal, &filter);
        export::har(shared.base_url(), found.into_iter())
    }))
}

pub(super) async fn jsonl(InWorld(shared): InWorld, uri: Uri) -> Response {
    match filter(&uri, &LIST) {
        Ok(filter) => {
            let world = shared.world();
            let found = filtered(&world.journal, &filter);
            plain("application/jsonl", export::jsonl(found.into_iter()))
        }
        Err(problem) => respond(Err(problem)),
    }
}

pub(super) async fn next(InWorld(shared): InWorld, uri: Uri) -> Response {
    respond(try_next(&shared, &uri).await)
}

async fn try_next(shared: &Arc<Shared>, uri: &Uri) -> Handled {
    let filter = filter(uri, &["after", "timeout_ms"])?;
    if let Some(problem) = too_many_wait(shared) {
        return Err(problem);
    }
    let timeout = Duration::from_millis(filter.wait_ms.unwrap_or(DEFAULT_WAIT_MS));
    let life = shared.bell.life();
    let look = move |world: &crate::state::World| {
        let found = world.journal.next(filter.since, &filter.calls)?;
        Some(json!(found.show()))
    };
    match shared.awaited(life, timeout, look).await {
        Awaited::Came(entry) => Ok(json!({ "request": entry })),
        Awaited::Late => Ok(json!({ "request": null, "why": "none came in time" })),
        Awaited::Over => Ok(json!({ "request": null, "why": "the world was reset or has ended" })),
    }
}

pub(super) async fn forget_requests(InWorld(shared): InWorld) -> Response {
    shared.world().journal.clear();
    respond(Ok(json!({ "ok": true })))
}

pub(super) async fn explain(InWorld(shared): InWorld, Path(logid): Path<String>) -> Response {
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
