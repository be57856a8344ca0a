//! Counters for Prometheus, in its text format 0.0.4.

use std::fmt::Write as _;

use axum::response::Response;

use super::reply::plain;
use crate::journal::counters::Key;
use crate::state::{State, token_table};
use crate::web::in_world::InWorld;
use crate::world::World;

pub(super) async fn metrics(InWorld(world): InWorld) -> Response {
    plain("text/plain; version=0.0.4", text(&world))
}

/// Writes the help and the type of a metric.
fn begin(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(
        text,
        "# HELP coze_auth_mock_{name} {help}\n# TYPE coze_auth_mock_{name} {kind}"
    );
}

fn single(text: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    begin(text, name, kind, help);
    let _ = writeln!(text, "coze_auth_mock_{name} {value}");
}

pub(crate) fn text(world: &World) -> String {
    let mut text = String::new();
    let state = world.state();
    requests(&mut text, &state);
    let help = "Secrets that requests had where they do not belong.";
    single(&mut text, "leaks_total", "counter", help, state.leaks.total);
    begin(
        &mut text,
        "tokens_live",
        "gauge",
        "Tokens and codes that would be accepted.",
    );
    for (kind, n) in token_table::live(&state) {
        let _ = writeln!(text, "coze_auth_mock_tokens_live{{kind=\"{kind}\"}} {n}");
    }
    let n = state.journal.iter().len();
    let help = "Requests that the journal keeps.";
    single(&mut text, "journal_entries", "gauge", help, n);
    let help = "Bytes of the requests that the journal keeps.";
    single(
        &mut text,
        "journal_bytes",
        "gauge",
        help,
        state.journal.memory(),
    );
    drop(state);
    let (gates, held) = world.gates.counts();
    single(&mut text, "gates", "gauge", "Gates that are set.", gates);
    let help = "Requests that wait at a gate.";
    single(&mut text, "gates_waiting", "gauge", help, held);
    // Of the first world alone, so that what a world answers does not depend on the others.
    let worlds = world.worlds().filter(|_| world.name().is_none());
    if let Some(worlds) = worlds {
        let help = "Worlds of this mock, the first included.";
        single(&mut text, "worlds", "gauge", help, worlds.count());
        let help = "Worlds that have a port of their own.";
        single(&mut text, "world_ports", "gauge", help, worlds.ports());
        let help = "Bytes that all worlds together hold.";
        single(
            &mut text,
            "memory_bytes",
            "gauge",
            help,
            worlds.memory().used(),
        );
        let help = "Maximum of those bytes.";
        single(
            &mut text,
            "memory_max_bytes",
            "gauge",
            help,
            worlds.memory().max(),
        );
    }
    text
}

fn requests(text: &mut String, state: &State) {
    let help =
        "Requests to the data plane; rule is the one that refused, status 0 that nothing was sent.";
    begin(text, "requests_total", "counter", help);
    let mut counts = state.counts.0.clone();
    counts.sort_unstable();
    for (key, n) in counts {
        let Key {
            status,
            endpoint,
            grant,
            rule,
            fault,
        } = key;
        let [grant, rule, fault] = [grant, rule, fault].map(Option::unwrap_or_default);
        let _ = writeln!(
            text,
            "coze_auth_mock_requests_total{{endpoint=\"{endpoint}\",grant=\"{grant}\",status=\"{status}\",rule=\"{rule}\",fault=\"{fault}\"}} {n}"
        );
    }
}
