//! What a configuration comes to, in words.

use std::fmt::Write as _;

use super::time::written;
use crate::api::banner;
use crate::control::gates;
use crate::control::reply::LONGEST_BODY;
use crate::journal::filter::Calls;
use crate::oauth::context::{BODY_LIMIT, PARAMETER_LIMIT};
use crate::oauth::device_code::TOLERANCE;
use crate::oauth::jwt_bearer::LONGEST_TOKEN_S;
use crate::protocol::world_name;
use crate::redact::MOST_HEADERS;
use crate::state::app::Consent;
use crate::state::settings::Settings;
use crate::state::{CONSENT_S, WAITING_CAP};
use crate::web::body::DRAIN_LIMIT;
use crate::world::worlds;

pub(crate) fn summary(listen: &str, public_url: Option<&str>, settings: &Settings) -> String {
    let public_url = public_url.unwrap_or("none");
    let mut text = format!(
        "Addresses\n  {:<26} {listen}\n  {:<26} {public_url}\nApps\n",
        "listen", "public_url"
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{}", format!("  {name:<26} {value}").trim_end());
    };
    for app in &settings.apps {
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
        line(app.kind.name(), &about);
    }
    if settings.apps.is_empty() {
        line("none", "");
    }
    text.push_str("Users and tokens\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<26} {value}");
    };
    for user in &settings.users {
        line(
            "user",
            &format!("{} in workspace {}", user.name, user.workspace),
        );
    }
    for token in &settings.tokens {
        let user = token.user.as_ref().unwrap_or(&settings.users[0].name);
        line(token.kind, &format!("of {user}"));
    }
    let any = |ids: &[String]| match ids {
        [] => "any".to_owned(),
        ids => ids.join(", "),
    };
    line("accounts", &any(&settings.accounts));
    line("enterprises", &any(&settings.enterprises));
    match banner::changes(&settings.rules) {
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
            Calls::from(on.clone())
        );
    }
    limits(settings, &mut text);
    text
}

fn limits(settings: &Settings, text: &mut String) {
    let ttl = settings.ttl;
    text.push_str("Limits\n");
    for (name, value) in [
        ("access token", written(ttl.access)),
        ("refresh token", written(ttl.refresh)),
        ("authorization code", written(ttl.code)),
        ("device code", written(ttl.device)),
        ("pause between polls", written(ttl.device_interval)),
        (
            "of which may be missing",
            format!("{} ms", TOLERANCE.as_millis()),
        ),
        ("consent page", written(CONSENT_S)),
        ("JWT grant, longest token", written(LONGEST_TOKEN_S)),
        ("grants of a kind, a world", settings.cap.to_string()),
        ("assertions remembered", settings.cap.to_string()),
        (
            "consent pages waiting",
            settings.cap.min(WAITING_CAP).to_string(),
        ),
        ("requests in the journal", settings.journal.to_string()),
        ("headers of each", MOST_HEADERS.to_string()),
        ("gates of a world", gates::MOST.to_string()),
        (
            "wait at GET /gates/{name}",
            written(gates::LONGEST_WAIT_MS / 1000),
        ),
        ("worlds", worlds::MOST.to_string()),
        ("world kept unused", written(worlds::UNUSED.as_secs())),
        (
            "name of a world",
            format!("{} bytes", world_name::LONGEST_NAME),
        ),
        ("body", format!("{BODY_LIMIT} bytes")),
        ("body of a control", format!("{LONGEST_BODY} bytes")),
        ("body read and dropped", format!("{DRAIN_LIMIT} bytes")),
        ("parameter kept", format!("{PARAMETER_LIMIT} bytes")),
    ] {
        let _ = writeln!(text, "  {name:<26} {value}");
    }
}
