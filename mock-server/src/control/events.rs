//! The journal as a stream of server-sent events.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};
use serde_json::json;
use url::form_urlencoded;

use super::reply::Problem;
use super::requests::waiting_client;
use crate::journal::Journal;
use crate::web::in_world::InWorld;
use crate::web::journal_stream::{JournalStream, StreamEvent};

pub(super) async fn events(
    InWorld(world): InWorld,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let (mut after, mut left) = (None, u64::MAX);
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        match (name.as_ref(), value.parse()) {
            ("after", Ok(seq)) => after = Some(seq),
            ("limit", Ok(limit)) => left = limit,
            _ => return Err(Problem::bad("expected after=SEQ and limit=N")),
        }
    }
    let client = waiting_client(&world)?;
    let epoch = world.notifier.epoch();
    let last = headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
    // A number above the newest one is from before a reset.
    let known = |journal: &Journal| last.or(after).filter(|seq| *seq <= journal.newest());
    let after = {
        let journal = &world.state().journal;
        let oldest = journal.iter().next().map_or(1, |entry| entry.seq);
        known(journal).unwrap_or(oldest - 1)
    };
    let mut response = Response::new(Body::new(JournalStream::new(
        client, world, epoch, after, left, render,
    )));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn render(what: &StreamEvent<'_>) -> String {
    match what {
        StreamEvent::Request(entry) => {
            format!(
                "id: {}\nevent: request\ndata: {}\n\n",
                entry.seq,
                json!(entry)
            )
        }
        StreamEvent::Lost(lost) => format!("event: lost\ndata: {}\n\n", json!({ "lost": lost })),
        StreamEvent::Silence => ": still here\n\n".to_owned(),
        // The reader reconnects if the world still exists.
        StreamEvent::Reset => "event: reset\ndata: {}\n\n".to_owned(),
    }
}
