//! The journal, redacted, in formats that other tools read.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::entry::JournalEntry;

/// The journal as JSON Lines: one object a line.
pub(crate) fn jsonl(entries: impl Iterator<Item = JournalEntry>) -> String {
    let lines = entries.map(|entry| json!(entry).to_string() + "\n");
    lines.collect()
}

/// The journal as HAR 1.2. Members that HAR does not define begin with `_`, as it requires.
pub(crate) fn har(base: &str, entries: impl Iterator<Item = JournalEntry>) -> Value {
    let entries: Vec<_> = entries.map(|entry| one(base, &entry)).collect();
    json!({ "log": {
        "version": "1.2",
        "creator": { "name": "coze-auth-mock", "version": env!("CARGO_PKG_VERSION") },
        "entries": entries,
    } })
}

fn one(base: &str, entry: &JournalEntry) -> Value {
    let ms = i64::try_from(entry.at_ms).ok();
    let at = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = at.unwrap_or(Timestamp::MAX);
    #[expect(clippy::cast_precision_loss, reason = "a time that a person reads")]
    let took_ms = entry.elapsed_us as f64 / 1000.0;
    json!({
        // HAR readers require a fraction of a fixed length.
        "startedDateTime": format!("{at:.3}"),
        "time": took_ms,
        "request": request(base, entry),
        "response": response(entry),
        "cache": {},
        "timings": { "send": 0, "wait": took_ms, "receive": 0 },
        "_seq": entry.seq,
        "_endpoint": entry.endpoint,
        "_client": entry.client,
        "_grant": entry.grant,
        "_jwt": entry.jwt,
        "_presented": entry.presented,
        "_issued": entry.issued,
        "_leaks": entry.leaks,
        "_outcome": entry.outcome,
    })
}

fn pairs<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    all.map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn request(base: &str, entry: &JournalEntry) -> Value {
    let (path, query) = match entry.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*entry.path, None),
    };
    let query: Vec<_> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    let headers = entry.headers.iter();
    let mut request = json!({
        "method": entry.method,
        "url": url(base, path, &query),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs(headers.map(|(name, value)| (name.as_str(), value.as_str()))),
        "queryString": pairs(query.into_iter()),
        "headersSize": -1,
        "bodySize": -1,
    });
    if let Some(body) = &entry.json {
        request["postData"] = json!({
            "mimeType": "application/json",
            "text": body.to_string(),
        });
    }
    request
}

/// An absolute URL, as HAR requires, with the redacted values percent-encoded.
fn url(base: &str, path: &str, query: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse(base) else {
        return base.to_owned();
    };
    let mount = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{mount}{path}"));
    if !query.is_empty() {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        url.set_query(Some(&encoded.extend_pairs(query).finish()));
    }
    url.into()
}

fn response(entry: &JournalEntry) -> Value {
    let outcome = &entry.outcome;
    let status = StatusCode::from_u16(outcome.status).ok();
    let reason = status.and_then(|status| status.canonical_reason());
    let mut headers = vec![("x-tt-logid", &*outcome.logid)];
    headers.extend(outcome.rule.map(|rule| ("x-mock-rule", rule)));
    // Bodies of answers hold tokens, so the journal does not keep them.
    json!({
        "status": outcome.status,
        "statusText": reason.unwrap_or(""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs(headers.into_iter()),
        "content": { "size": 0, "mimeType": "x-unknown" },
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
    })
}
