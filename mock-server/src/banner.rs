//! What the binary prints at its start.

use std::fmt::Write as _;

use crate::apps::{App, CONSOLE_TOKENS, Kind};
use crate::world::{Consent, World};

/// `export` lines for every flow, in the names that official samples use (protocol §9).
/// `private_key` replaces the key, which has 28 lines, by something that a shell expands to it.
pub(crate) fn environment(apps: &[App], base_url: &str, private_key: Option<&str>) -> String {
    const REDIRECT_URI: &str = "http://localhost:8080/callback";
    let token = CONSOLE_TOKENS[0].value;
    let mut lines = vec![
        format!("export COZE_API_BASE='{base_url}'"),
        format!("export COZE_API_TOKEN='{token}'"),
    ];
    for app in apps {
        let flow = app.kind.name().to_uppercase();
        let mut line = |name: &str, value: &str| {
            lines.push(format!("export COZE_{flow}_OAUTH_{name}={value}"));
        };
        line("CLIENT_ID", &format!("'{}'", app.client_id));
        if let Some(secret) = app.client_secret {
            line("CLIENT_SECRET", &format!("'{secret}'"));
        }
        if matches!(app.kind, Kind::Web | Kind::Pkce) {
            line("REDIRECT_URI", &format!("'{REDIRECT_URI}'"));
        }
        if let Some(kid) = app.key_id {
            line("PUBLIC_KEY_ID", &format!("'{kid}'"));
        }
        if let Some(key) = app.private_key {
            let key = private_key.map_or_else(|| format!("'{}'", key.trim()), str::to_owned);
            line("PRIVATE_KEY", &key);
        }
    }
    lines.join("\n") + "\n"
}

/// A block that a person reads once and copies from.
pub(crate) fn banner(world: &World, base_url: &str) -> String {
    let mut text = format!(
        "\n  coze-auth-mock {} is listening on {base_url}\n  Everything it issues is worthless outside of it.\n\n  Apps\n",
        env!("CARGO_PKG_VERSION"),
    );
    for app in &world.apps {
        let credential = match (app.client_secret, app.key_id) {
            (Some(secret), _) => format!("secret {secret}"),
            (_, Some(kid)) => format!("kid {kid}, private key at {base_url}/_mock/v1/key"),
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
    for token in CONSOLE_TOKENS {
        let _ = writeln!(text, "    {:<7} {}", token.kind, token.value);
    }
    let _ = writeln!(
        text,
        "  User\n    {} in workspace {}",
        world.user.name, world.user.workspace
    );
    text.push_str("  Redirect URIs\n");
    for uri in world.apps.first().map_or(&[][..], |app| app.redirect_uris) {
        let _ = writeln!(text, "    {uri}");
    }
    let consent = match world.settings.consent {
        Consent::Page => format!(
            "a person decides: the authorize URL opens the consent page, devices at {base_url}/oauth/device-activation"
        ),
        Consent::Approve => "everything is approved at once".to_owned(),
        Consent::Deny => "everything is denied at once".to_owned(),
    };
    let _ = writeln!(text, "  Consent\n    {consent}");
    text.push_str(&changes(world));
    let _ = writeln!(text, "\n  Environment");
    let key = format!("\"$(curl -s {base_url}/_mock/v1/key)\"");
    for line in environment(&world.apps, base_url, Some(&key)).lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}

/// Whatever makes this mock another server than Coze is said aloud.
fn changes(world: &World) -> String {
    let rules = &world.settings.rules;
    let mut text = String::new();
    for (id, on) in rules.changed() {
        let what = if on {
            "on, stricter than Coze"
        } else {
            "OFF, laxer than Coze"
        };
        let _ = writeln!(text, "    rule {id} is {what}");
    }
    for (id, status, error) in rules.changed_answers() {
        let _ = writeln!(text, "    rule {id} is answered with {status} {error}");
    }
    match text.is_empty() {
        true => text,
        false => format!("  Not as Coze\n{text}"),
    }
}
