//! The requests that reached the server, for checks and for people.

use coze_auth_mock::{JournalEntry, MockWorld};
use serde_json::{Value, json};

/// Requests by endpoint and by grant; every list is there, empty if no request was received.
pub(super) fn wire(requests: &[JournalEntry]) -> Value {
    let of = |is: &dyn Fn(&JournalEntry) -> bool| {
        let all: Vec<&JournalEntry> = requests.iter().filter(|entry| is(entry)).collect();
        json!(all)
    };
    let endpoint = |name: &'static str| of(&move |entry| entry.endpoint == name);
    let grant = |name: &'static str| of(&move |entry| entry.grant == Some(name));
    json!({
        "all": requests,
        "authorize": endpoint("authorize"),
        "token": endpoint("token"),
        "device_code": endpoint("device_code"),
        "users_me": endpoint("users_me"),
        "workspaces": endpoint("workspaces"),
        "api": endpoint("api"),
        "workload_token": endpoint("workload_token"),
        "integration": endpoint("integration"),
        "project_env": endpoint("project_env"),
        "unknown": endpoint("unknown"),
        "exchange": grant("authorization_code"),
        "refresh": grant("refresh_token"),
        "poll": grant("device_code"),
        "jwt": grant("jwt_bearer"),
        "id_token": grant("client_credentials"),
        "id_token_exchange": grant("token_exchange"),
    })
}

/// Between the device code and the first poll, and between polls.
pub(super) fn gaps(requests: &[JournalEntry]) -> Value {
    let is_device = |entry: &&JournalEntry| {
        entry.endpoint == "device_code" || entry.grant == Some("device_code")
    };
    let at: Vec<u64> = requests
        .iter()
        .filter(is_device)
        .map(|entry| entry.at_ms)
        .collect();
    let gaps = at.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let gaps: Vec<u64> = gaps.collect();
    let polls = gaps.get(1..).unwrap_or_default();
    json!({ "device": gaps, "poll": polls })
}

/// The requests to a world, without the first `but`, a line each, for people.
pub(super) fn lines(server: &str, world: &MockWorld, but: usize) -> Vec<Value> {
    let explain = |entry: &JournalEntry| {
        let rule = entry.outcome.rule?;
        world
            .explain(&entry.outcome.logid)
            .filter(|why| why.rule == Some(rule))
    };
    let requests = world.requests();
    let lines = requests.iter().skip(but).map(|entry| {
        json!({
            "at_ms": entry.at_ms,
            "server": server,
            "request": format!("{} {}", entry.method, entry.path),
            "headers": entry.headers,
            "json": entry.json,
            "jwt": entry.jwt,
            "status": entry.outcome.status,
            "error": entry.outcome.error,
            "rule": entry.outcome.rule,
            "fault": entry.fault,
            "logid": entry.outcome.logid,
            "explain": explain(entry),
        })
    });
    lines.collect()
}
