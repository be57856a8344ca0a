//! The text that the binary prints at its start.

use std::fmt::Write as _;

use serde_json::Value;

use crate::control::info;
use crate::state::app::{Consent, key_id};
use crate::world::World;

/// The variable from which the commands read the admin token.
const ADMIN_TOKEN: &str = "COZE_AUTH_MOCK_ADMIN_TOKEN";

/// Returns `export` lines for every flow, with the names that official samples use (protocol §9). `info` is the answer
/// of `GET /_mock/v1/info`. If there are several apps of a kind, the lines are for the first one.
#[must_use]
pub fn environment(info: &Value) -> String {
    let all = info::variables(info).into_iter();
    let lines = all.map(|(name, value)| format!("export {name}={}\n", quoted(&value)));
    lines.collect()
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The block at the start, from which a person copies.
pub(crate) fn banner(world: &World, listening: &str) -> String {
    let base_url = world.base_url();
    let info = info::describe(world, base_url);
    let state = &*world.state();
    let mut text = format!(
        "\n  coze-auth-mock {} is listening on {listening}\n  Its tokens are not valid anywhere else.\n",
        env!("CARGO_PKG_VERSION"),
    );
    if base_url != listening {
        let _ = writeln!(text, "  Clients use {base_url}");
    }
    // The user knows a token of their own, and it must not stand in a log.
    let token = match &world.addressing.admin_token {
        Some(token) if world.addressing.made_token => Some(token.as_str()),
        Some(_) => Some("<your admin token>"),
        None => None,
    };
    if let Some(token) = token {
        let _ = writeln!(
            text,
            "  Its control plane requires  Authorization: Bearer {token}"
        );
    }
    let _ = writeln!(text, "  Its dashboard is {base_url}/_mock/");
    text.push_str("\n  Apps\n");
    for app in state.known_apps() {
        let credential = match (&app.client_secret, key_id(&app.keys), app.private_key) {
            (Some(secret), ..) => format!("secret {secret}"),
            (_, Some(kid), None) => format!("kid {kid}"),
            (_, Some(kid), Some(_)) => {
                format!("kid {kid}, private key at {base_url}/_mock/v1/key")
            }
            _ => String::new(),
        };
        let line = format!(
            "    {:<7} {:<42} {credential}",
            app.kind.name(),
            app.client_id
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push_str("  Tokens\n");
    for token in state.settings.tokens.iter() {
        let _ = writeln!(text, "    {:<7} {}", token.kind, token.value);
    }
    let users = &state.settings.users;
    text.push_str(if users.len() == 1 {
        "  User\n"
    } else {
        "  Users\n"
    });
    for user in users.iter() {
        let _ = writeln!(text, "    {} in workspace {}", user.name, user.workspace);
    }
    let mut uris: Vec<_> = state
        .known_apps()
        .flat_map(|app| &app.redirect_uris)
        .collect();
    uris.sort();
    uris.dedup();
    if !uris.is_empty() {
        text.push_str("  Redirect URIs\n");
    }
    for uri in uris {
        let _ = writeln!(text, "    {uri}");
    }
    let consent = match state.settings.consent {
        Consent::Page => format!(
            "a person decides: the authorize URL opens the consent page, devices at {base_url}/oauth/device-activation"
        ),
        Consent::Approve => "everything is approved at once".to_owned(),
        Consent::Deny => "everything is denied at once".to_owned(),
    };
    let _ = writeln!(text, "  Consent\n    {consent}");
    for app in state.known_apps() {
        let decides = match app.consent {
            Some(Consent::Page) => "a person decides",
            Some(Consent::Approve) => "approved at once",
            Some(Consent::Deny) => "denied at once",
            None => continue,
        };
        let _ = writeln!(text, "    but for {}: {decides}", app.client_id);
    }
    text.push_str(&state.settings.rules.describe_changes());
    let _ = writeln!(text, "\n  Environment");
    let header = match &world.addressing.admin_token {
        Some(_) => format!(" -H \"Authorization: Bearer ${ADMIN_TOKEN}\""),
        None => String::new(),
    };
    for (name, value) in info::variables(&info) {
        let value = match name.ends_with("_PRIVATE_KEY") {
            // The key has 28 lines.
            true => format!("\"$(curl -s{header} {base_url}/_mock/v1/key)\""),
            false => quoted(&value),
        };
        let _ = writeln!(text, "    export {name}={value}");
    }
    text
}
