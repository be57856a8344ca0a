//! A summary of the settings, for people.

use std::fmt::Write as _;

use super::options::Options;
use super::time::written;
use crate::journal::filter::RequestFilter;
use crate::limits::{
    self, CONSENT_PAGE_S, MAX_BODY, MAX_CONSENT_PAGES, MAX_CONTROL_BODY, MAX_DRAINED_BODY,
    MAX_HEADERS, MAX_JWT_TOKEN_S, MAX_PARAMETER, POLL_TOLERANCE,
};
use crate::state::app::{AppKind, Consent};

pub(crate) fn summary(options: &Options) -> String {
    let (listen, settings) = (options.listen.to_string(), &options.settings);
    let public_url = options.addressing.public_url.as_deref().unwrap_or("none");
    let mut text = format!(
        "Addresses\n  {:<26} {listen}\n  {:<26} {public_url}\n",
        "listen", "public_url"
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{}", format!("  {name:<26} {value}").trim_end());
    };
    let origins: Vec<_> = options.addressing.allowed_origins.texts().collect();
    for (name, all) in [
        ("allowed_origins", origins.join(", ")),
        ("allowed_hosts", options.addressing.allowed_hosts.join(", ")),
    ] {
        line(name, if all.is_empty() { "none" } else { &all });
    }
    text.push_str("Apps\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{}", format!("  {name:<26} {value}").trim_end());
    };
    for app in settings.apps.iter() {
        let mut about = app.client_id.clone();
        match app.consent.unwrap_or(settings.consent) {
            Consent::Page => {}
            Consent::Approve => about += ", approved at once",
            Consent::Deny => about += ", denied at once",
        }
        if !app.keys.is_empty() {
            let kids: Vec<_> = app.keys.iter().map(|key| key.kid.as_str()).collect();
            about += &format!(", kid {}", kids.join(", "));
        }
        if !app.redirect_uris.is_empty() {
            about += &format!(", to {}", app.redirect_uris.join(", "));
        }
        if app.kind == AppKind::Workload {
            let names: Vec<_> = app
                .integrations
                .iter()
                .map(|one| one.name.as_str())
                .collect();
            about += &format!(
                ", for {}, variables: {}",
                names.join(", "),
                app.variables.len()
            );
        }
        line(app.kind.name(), &about);
    }
    if settings.apps.is_empty() {
        line("none", "");
    }
    text.push_str("Users and tokens\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<26} {value}");
    };
    for user in settings.users.iter() {
        line(
            "user",
            &format!("{} in workspace {}", user.name, user.workspace),
        );
    }
    for token in settings.tokens.iter() {
        let user = token.user.as_ref().unwrap_or(&settings.users[0].name);
        line(token.kind, &format!("of {user}"));
    }
    let any = |ids: &[String]| match ids {
        [] => "any".to_owned(),
        ids => ids.join(", "),
    };
    line("accounts", &any(&settings.accounts));
    line("enterprises", &any(&settings.enterprises));
    let [identity, access] = settings.workload_paths.paths();
    line(
        "tokens of workloads",
        &format!("at {identity} and {access}"),
    );
    match settings.rules.describe_changes() {
        changes if changes.is_empty() => text.push_str("All rules are as Coze has them\n"),
        changes => text.push_str(
            changes
                .trim_start_matches(' ')
                .replace("\n    ", "\n  ")
                .as_str(),
        ),
    }
    for (on, fault) in &settings.faults {
        let _ = writeln!(
            text,
            "Fault {} on {}",
            fault.name(),
            RequestFilter::from(on.clone())
        );
    }
    for api in &settings.apis {
        let _ = writeln!(text, "API call {} {}", api.method, api.path);
    }
    limits(options, &mut text);
    text
}

fn limits(options: &Options, text: &mut String) {
    let (settings, connections) = (&options.settings, &options.connections);
    let ttl = settings.ttl;
    text.push_str("Limits\n");
    for (name, value) in [
        ("access token", written(ttl.access)),
        ("refresh token", written(ttl.refresh)),
        ("authorization code", written(ttl.code)),
        ("id token of a workload", written(ttl.id_token)),
        ("device code", written(ttl.device)),
        ("pause between polls", written(ttl.device_interval)),
        (
            "tolerance of that pause",
            format!("{} ms", POLL_TOLERANCE.as_millis()),
        ),
        ("consent page", written(CONSENT_PAGE_S)),
        ("JWT grant, longest token", written(MAX_JWT_TOKEN_S)),
        ("grants of a kind, a world", settings.cap.to_string()),
        ("assertions remembered", settings.cap.to_string()),
        (
            "consent pages waiting",
            settings.cap.min(MAX_CONSENT_PAGES).to_string(),
        ),
        ("requests in the journal", settings.journal.to_string()),
        ("headers of each", MAX_HEADERS.to_string()),
        ("gates of a world", limits::MAX_GATES.to_string()),
        ("API calls of a world", limits::MAX_APIS.to_string()),
        (
            "answer of an API call",
            format!("{} bytes", limits::MAX_API_BODY),
        ),
        ("events of an API call", limits::MAX_API_EVENTS.to_string()),
        (
            "wait at GET /gates/{name}",
            written(limits::MAX_WAIT_MS / 1000),
        ),
        ("clients that wait", limits::MAX_WAITING_CLIENTS.to_string()),
        ("worlds", limits::MAX_WORLDS.to_string()),
        (
            "memory of all worlds",
            format!("{} MB", options.max_memory / limits::MEGABYTE),
        ),
        (
            "world in use after a use",
            written(limits::WORLD_IN_USE.as_secs()),
        ),
        ("world kept unused", written(limits::UNUSED_WORLD.as_secs())),
        ("ports of worlds", limits::MAX_WORLD_PORTS.to_string()),
        (
            "name of a world",
            format!("{} bytes", limits::MAX_WORLD_NAME),
        ),
        ("body", format!("{MAX_BODY} bytes")),
        ("body of a control", format!("{MAX_CONTROL_BODY} bytes")),
        ("body read and dropped", format!("{MAX_DRAINED_BODY} bytes")),
        ("parameter kept", format!("{MAX_PARAMETER} bytes")),
        ("head of a request", format!("{} bytes", limits::MAX_HEAD)),
        ("connections", connections.connections.to_string()),
        ("TLS handshake", written(connections.handshake.as_secs())),
        ("wait for a head", written(connections.head.as_secs())),
        ("wait for a body", written(connections.body.as_secs())),
        (
            "answer that is not taken",
            written(connections.answer.as_secs()),
        ),
        ("idle connection", written(connections.idle.as_secs())),
        ("bodies under way", format!("{} bytes", limits::MAX_BODIES)),
        ("HTTP/2 streams at once", limits::MAX_STREAMS.to_string()),
    ] {
        let _ = writeln!(text, "  {name:<26} {value}");
    }
}
