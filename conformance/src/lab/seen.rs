//! What the server saw, for checks and for people.

use coze_auth_mock::{JournalEntry, MockWorld};
use serde_json::{Map, Value, json};
use url::Url;

/// A result with its URL, or where a browser is sent back to, taken apart.
pub(super) fn with_parts(value: &Value) -> Value {
    let mut value = value.clone();
    let url = value["url"].as_str().or_else(|| value["redirect"].as_str());
    let url = url.and_then(|url| Url::parse(url).ok());
    if let Some(url) = url {
        let query: Map<String, Value> = url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect();
        value["parts"] = json!({
            "origin": url.origin().ascii_serialization(),
            "path": url.path(),
            "fragment": url.fragment(),
            "names": url.query_pairs().map(|(name, _)| name.into_owned()).collect::<Vec<_>>(),
            "query": query,
        });
    }
    value
}

/// Requests by endpoint and by grant; every list is there, empty if nothing came.
pub(super) fn wire(requests: &[JournalEntry]) -> Value {
    let of = |is: &dyn Fn(&JournalEntry) -> bool| {
        let all: Vec<&JournalEntry> = requests.iter().filter(|seen| is(seen)).collect();
        json!(all)
    };
    let endpoint = |name: &'static str| of(&move |seen| seen.endpoint == name);
    let grant = |name: &'static str| of(&move |seen| seen.grant == Some(name));
    json!({
        "all": requests,
        "authorize": endpoint("authorize"),
        "token": endpoint("token"),
        "device_code": endpoint("device_code"),
        "users_me": endpoint("users_me"),
        "unknown": endpoint("unknown"),
        "exchange": grant("authorization_code"),
        "refresh": grant("refresh_token"),
        "poll": grant("device_code"),
        "jwt": grant("jwt_bearer"),
    })
}

/// Between the device code and the first poll, and between polls.
pub(super) fn gaps(requests: &[JournalEntry]) -> Value {
    let is_device =
        |seen: &&JournalEntry| seen.endpoint == "device_code" || seen.grant == Some("device_code");
    let at: Vec<u64> = requests
        .iter()
        .filter(is_device)
        .map(|seen| seen.at_ms)
        .collect();
    let gaps = at.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let gaps: Vec<u64> = gaps.collect();
    let polls = gaps.get(1..).unwrap_or_default();
    json!({ "device": gaps, "poll": polls })
}

/// The requests to a world, but for the first ones, for people.
pub(super) fn told(server: &str, world: &MockWorld, but: usize) -> Vec<Value> {
    let explain = |seen: &JournalEntry| {
        let rule = seen.outcome.rule?;
        world
            .explain(&seen.outcome.logid)
            .filter(|why| why.rule == Some(rule))
    };
    let requests = world.requests();
    let lines = requests.iter().skip(but).map(|seen| {
        json!({
            "at_ms": seen.at_ms,
            "server": server,
            "request": format!("{} {}", seen.method, seen.path),
            "headers": seen.headers,
            "json": seen.json,
            "jwt": seen.jwt,
            "status": seen.outcome.status,
            "error": seen.outcome.error,
            "rule": seen.outcome.rule,
            "fault": seen.fault,
            "logid": seen.outcome.logid,
            "explain": explain(seen),
        })
    });
    lines.collect()
}
