//! The journal on the dashboard: its rows, live, and the page of one request.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use jiff::Timestamp;
use std::fmt::Write as _;

use crate::html::form::Fields;
use crate::html::page::{Detail, Message, Mood, page, set_headers};
use crate::html::texts::Texts;
use crate::html::{language, texts};
use crate::journal::entry::{Explanation, JournalEntry};
use crate::web::in_world::InWorld;
use crate::web::journal_stream::{JournalStream, StreamEvent};
use crate::web::routes::into_response;
use crate::world::World;

/// Maximum number of requests that are shown at first, the newest ones.
const SHOWN: u64 = 100;

/// The policy of what the dashboard has in a frame.
const FRAME_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'";

#[derive(Template)]
#[template(path = "live.html")]
struct Live {
    t: &'static Texts,
}

#[derive(Template)]
#[template(path = "live_start.html")]
struct LiveStart {
    t: &'static Texts,
}

#[derive(Template)]
#[template(path = "entry.html")]
struct Entry {
    row: Row,
}

pub(super) struct Row {
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) client: String,
    pub(super) status: String,
    pub(super) class: &'static str,
    pub(super) why: String,
    pub(super) logid: String,
}

impl Row {
    pub(super) fn of(entry: &JournalEntry) -> Self {
        let outcome = &entry.outcome;
        let said = [
            entry.grant,
            entry.fault,
            outcome.rule.or(outcome.error.as_deref()),
        ];
        let said: Vec<_> = said.into_iter().flatten().collect();
        Self {
            seq: entry.seq,
            time: clock_time(entry.at_ms),
            method: entry.method.clone(),
            path: entry.path.split('?').next().unwrap_or_default().to_owned(),
            client: entry.client.as_deref().map(short).unwrap_or_default(),
            status: match outcome.status {
                0 => "—".to_owned(),
                status => status.to_string(),
            },
            class: match outcome.status {
                200..400 => "good",
                _ => "poor",
            },
            why: said.join(" · "),
            logid: outcome.logid.clone(),
        }
    }
}

/// Shortens a client id to its beginning, which is where client ids differ.
fn short(client: &str) -> String {
    match client.char_indices().nth(12) {
        Some((end, _)) => format!("{}…", &client[..end]),
        None => client.to_owned(),
    }
}

/// Formats a time as `2026-01-01 00:00:00`, in UTC.
pub(super) fn clock_time(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok();
    let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = at.unwrap_or(Timestamp::MAX);
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The rows of the newest requests, oldest first.
pub(super) fn newest(world: &World) -> Vec<Row> {
    let state = world.state();
    let newest = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let mut rows: Vec<_> = state
        .journal
        .iter()
        .rev()
        .take(newest)
        .map(|record| Row::of(&record.show()))
        .collect();
    rows.reverse();
    rows
}

/// The page that the frame of the dashboard loads first. It ends, so the dashboard's `load` fires; a moment later it goes on to
/// the stream, which would hold `load` back for ever if the frame was in view by then.
pub(super) async fn start(headers: HeaderMap) -> Response {
    let t = language::texts(&headers);
    let mut reply = page(StatusCode::OK, t, &LiveStart { t });
    let policy = HeaderValue::from_static(FRAME_POLICY);
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    into_response(reply)
}

/// A table that grows by a row with each request until the browser leaves. It needs neither a script nor a reload, so
/// focus and the position of a screen reader are kept.
pub(super) async fn live(InWorld(world): InWorld, headers: HeaderMap) -> Response {
    let t = language::texts(&headers);
    let head = Live { t }.render().expect("our templates render");
    let epoch = world.notifier.epoch();
    let after = world.state().journal.newest().saturating_sub(SHOWN);
    let render = match t.lang {
        "en" => |what: &StreamEvent<'_>| render_row(&texts::EN, what),
        _ => |what: &StreamEvent<'_>| render_row(&texts::ZH, what),
    };
    let mut response = match world.waiting_client() {
        None => {
            let row = format!("<tr><td colspan=5>{}</td></tr>", t.busy);
            Response::new(Body::from(head + &row))
        }
        Some(client) => {
            let events = JournalStream::new(client, world, epoch, after, u64::MAX, render);
            Response::new(Body::new(events.after_text(head)))
        }
    };
    set_headers(response.headers_mut(), t);
    let policy = HeaderValue::from_static(FRAME_POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn render_row(t: &Texts, what: &StreamEvent<'_>) -> String {
    let note = |text: &str| format!("<tr><td colspan=\"5\">{text}</td></tr>\n");
    match what {
        StreamEvent::Request(entry) => {
            let row = Row::of(entry);
            Entry { row }.render().expect("our templates render")
        }
        // At most as many as are shown at first.
        StreamEvent::Lost(_) => note(t.lost),
        StreamEvent::Silence => "<!-- -->".to_owned(),
        StreamEvent::Reset => note(t.was_reset),
    }
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage<'a> {
    t: &'static Texts,
    row: Row,
    explanation: Vec<Detail<'a>>,
    details: Vec<Detail<'a>>,
    blocks: Vec<(&'a str, String)>,
}

pub(super) async fn request(InWorld(world): InWorld, headers: HeaderMap, uri: Uri) -> Response {
    let t = language::texts(&headers);
    let fields = Fields::of(uri.query().unwrap_or("").as_bytes());
    let found = world.with_request(fields.get("logid"), |record| {
        (record.show(), record.explain())
    });
    into_response(match found {
        Some((entry, why)) => in_full(t, &entry, &why),
        None => {
            let message = Message {
                t,
                title: t.unknown_request,
                text: t.unknown_request_text,
                mood: Mood::Failed,
                details: &[],
                on: Some((t.back, "./")),
            };
            page(StatusCode::NOT_FOUND, t, &message)
        }
    })
}

fn in_full(t: &'static Texts, entry: &JournalEntry, why: &Explanation) -> http::Response<Bytes> {
    let relaxed = why.relaxed.join(", ");
    let mut explanation = vec![Detail {
        id: "meaning",
        name: t.meaning,
        value: &why.text,
    }];
    for (id, name, value) in [
        ("rule", t.rule, why.rule),
        ("expected", t.expected, why.expected.as_deref()),
        ("actual", t.actual, why.actual.as_deref()),
        ("fix", t.fix, why.fix.as_deref()),
        ("evidence", t.evidence, why.evidence),
        (
            "relaxed",
            t.relaxed,
            Some(&*relaxed).filter(|all| !all.is_empty()),
        ),
    ] {
        explanation.extend(value.map(|value| Detail { id, name, value }));
    }
    let issued = entry.issued.as_ref().map(|issued| {
        let mut text = issued.access.clone();
        if let Some(refresh) = &issued.refresh {
            let _ = write!(text, ", {refresh}");
        }
        text
    });
    let mut details = Vec::new();
    for (id, name, value) in [
        ("target", t.request, Some(&*entry.path)),
        ("logid", "Logid", Some(&*entry.outcome.logid)),
        ("endpoint", t.endpoint, Some(entry.endpoint)),
        ("client", t.client, entry.client.as_deref()),
        ("grant", t.grant, entry.grant),
        ("presented", t.presented, entry.presented.as_deref()),
        ("issued", t.issued, issued.as_deref()),
    ] {
        details.extend(value.map(|value| Detail { id, name, value }));
    }
    let mut lines = String::new();
    for (name, value) in &entry.headers {
        let _ = writeln!(lines, "{name}: {value}");
    }
    let pretty = |value| serde_json::to_string_pretty(value).unwrap_or_default();
    let mut blocks = vec![(t.headers, lines)];
    blocks.extend(entry.json.as_ref().map(|body| (t.body, pretty(body))));
    blocks.extend(entry.jwt.as_ref().map(|jwt| {
        let text = format!("{}\n{}", pretty(&jwt.header), pretty(&jwt.payload));
        (t.assertion, text)
    }));
    let request_page = RequestPage {
        t,
        row: Row::of(entry),
        explanation,
        details,
        blocks,
    };
    page(StatusCode::OK, t, &request_page)
}
