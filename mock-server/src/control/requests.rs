//! The requests of the journal: listed, exported, awaited and explained.

use std::time::Duration;

use axum::extract::{OriginalUri, Path};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;
use url::form_urlencoded;

use super::reply::{Handled, Json, Problem, done, plain};
use crate::journal::entry::JournalEntry;
use crate::journal::export;
use crate::journal::filter::RequestFilter;
use crate::journal::record::Record;
use crate::limits::{DEFAULT_WAIT_MS, MAX_WAIT_MS, MAX_WAITING_CLIENTS};
use crate::web::base_url::seen;
use crate::web::in_world::InWorld;
use crate::world::World;
use crate::world::wait::{Waited, WaitingClient};

/// A client that is about to wait.
pub(super) fn waiting_client(world: &World) -> Result<WaitingClient, Problem> {
    world.waiting_client().ok_or_else(|| {
        let text = format!(
            "{MAX_WAITING_CLIENTS} clients already wait for requests, events and gates of all worlds together: end some (GET /events, /requests/next, /gates/{{name}}, open dashboards), or try again when one has its answer"
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, text)
    })
}

#[derive(Default)]
pub(super) struct Filter {
    requests: RequestFilter,
    /// Only entries with a greater number.
    since: u64,
    /// Maximum number of entries, the newest ones.
    limit: Option<u64>,
    /// Only the entry with this log id, of whichever world.
    logid: Option<String>,
    wait_ms: Option<u64>,
}

/// Parses a query. `numbers` are the allowed parameters in addition to those of [`RequestFilter`].
fn filter(uri: &Uri, numbers: &[&str]) -> Result<Filter, Problem> {
    let mut filter = Filter::default();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        if filter.requests.set(&name, &value).map_err(Problem::bad)? {
            continue;
        }
        if name == "logid" && numbers == LIST {
            filter.logid = Some(value.into_owned());
            continue;
        }
        let number = value.parse().ok().filter(|_| numbers.contains(&&*name));
        match (&*name, number) {
            ("since" | "after", Some(since)) => filter.since = since,
            ("limit", Some(limit)) => filter.limit = Some(limit),
            ("timeout_ms", Some(ms)) if ms <= MAX_WAIT_MS => filter.wait_ms = Some(ms),
            _ => {
                let text = format!(
                    "filters are endpoint, client_id, grant, path, status, error, rule, fault{} and, each a number, {}",
                    if numbers == LIST { ", logid" } else { "" },
                    numbers.join(", ")
                );
                return Err(Problem::bad(text));
            }
        }
    }
    Ok(filter)
}

/// The matching entries, oldest first.
fn filtered(world: &World, filter: &Filter) -> Vec<JournalEntry> {
    if let Some(logid) = &filter.logid {
        let matches = |entry: &Record| {
            (entry.seq > filter.since && filter.requests.matches(entry)).then(|| entry.show())
        };
        let found = world.with_request(logid, matches).flatten();
        return found.into_iter().collect();
    }
    let state = world.state();
    let newest_first = state.journal.iter().rev();
    let newest_first = newest_first.take_while(|entry| entry.seq > filter.since);
    let limit = filter.limit.and_then(|limit| usize::try_from(limit).ok());
    let found = newest_first.filter(|entry| filter.requests.matches(entry));
    let found = found.take(limit.unwrap_or(usize::MAX)).map(Record::show);
    let mut found: Vec<_> = found.collect();
    found.reverse();
    found
}

const LIST: [&str; 2] = ["since", "limit"];

pub(super) async fn requests(InWorld(world): InWorld, uri: Uri) -> Handled {
    let filter = filter(&uri, &LIST)?;
    let found = filtered(&world, &filter);
    Ok(Json(json!({ "requests": found })))
}

pub(super) async fn har(
    InWorld(world): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
    uri: Uri,
) -> Handled {
    let filter = filter(&uri, &LIST)?;
    let found = filtered(&world, &filter);
    let base = seen(&world, &headers, &original);
    Ok(Json(export::har(&base, found.into_iter())))
}

pub(super) async fn jsonl(InWorld(world): InWorld, uri: Uri) -> Result<Response, Problem> {
    let filter = filter(&uri, &LIST)?;
    let found = filtered(&world, &filter);
    Ok(plain("application/jsonl", export::jsonl(found.into_iter())))
}

pub(super) async fn next(InWorld(world): InWorld, uri: Uri) -> Handled {
    let filter = filter(&uri, &["after", "timeout_ms"])?;
    let _client = waiting_client(&world)?;
    let timeout = Duration::from_millis(filter.wait_ms.unwrap_or(DEFAULT_WAIT_MS));
    let epoch = world.notifier.epoch();
    let look = move |state: &crate::state::State| {
        let found = state.journal.next(filter.since, &filter.requests)?;
        Some(json!(found.show()))
    };
    Ok(Json(match world.wait(epoch, timeout, look).await {
        Waited::Found(entry) => json!({ "request": entry }),
        Waited::TimedOut => json!({ "request": null, "why": "no request arrived in time" }),
        Waited::Closed => json!({ "request": null, "why": "the world was reset or has ended" }),
    }))
}

pub(super) async fn forget_requests(InWorld(world): InWorld) -> Json {
    world.state().journal.clear();
    done()
}

pub(super) async fn explain(InWorld(world): InWorld, Path(logid): Path<String>) -> Handled {
    let found = world.with_request(&logid, Record::explain);
    let found = found.ok_or_else(|| {
        Problem::not_found(
            "unknown log id: no request had it, the journal has evicted the request, or its world has ended",
        )
    })?;
    Ok(Json(json!(found)))
}
