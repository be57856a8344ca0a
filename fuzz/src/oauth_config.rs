//! `coze_oauth_config.json`, as people have changed it.
//!
//! What JSON's own reader takes is read as that reads it; another layout is the same; no error shows a secret.

use coze_auth_core::config::OAuthConfig;
use serde_json::Value;

use crate::support::{SENTINEL, is_plain, keeps, shown};

fn client_id(config: &OAuthConfig) -> &str {
    match config {
        OAuthConfig::Web(app) => app.client_id(),
        OAuthConfig::Pkce(app) => app.client_id(),
        OAuthConfig::Device(app) => app.client_id(),
        OAuthConfig::Jwt(issuer, _) => issuer.client_id(),
        _ => panic!("a kind of app that is not known here"),
    }
}

/// One file.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = OAuthConfig::from_json(text);
    let config = match &read {
        Ok(config) => config,
        Err(error) => {
            let told = shown(error);
            is_plain("an error", &told);
            keeps("an error", &told, &[SENTINEL]);
            assert!(told.len() < 8_192, "{} bytes", told.len());
            return;
        }
    };
    let debug = format!("{config:?}");
    let strict: Option<Value> = serde_json::from_str(text).ok();
    if let Some(file) = &strict {
        let id = match &file["client_id"] {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        assert_eq!(client_id(config), id);
        let kind = match config {
            OAuthConfig::Web(_) => "web",
            OAuthConfig::Pkce(_) => "pkce",
            OAuthConfig::Device(_) => "device",
            _ => "jwt",
        };
        assert_eq!(file["client_type"], kind);
        let secret = file["client_secret"].as_str().unwrap_or_default();
        if secret.len() > 8 && kind == "web" {
            let others = text.replacen(secret, "", 1);
            // What is a name as well may be shown.
            if !others.contains(secret) {
                keeps("Debug", &debug, &[secret]);
            }
        }
        if let OAuthConfig::Jwt(_, key) = config {
            assert_eq!(file["private_key"], key.expose());
            if let Err(error) = key.rsa_key() {
                keeps("an error", &shown(&error), &[SENTINEL]);
            }
        }
        let written = [file.to_string(), format!("{file:#}")];
        let others = written.into_iter().chain([
            text.replace("\r\n", "\n").replace('\n', "\r\n"),
            format!("\u{feff}{text}"),
            format!("// of the console\n{text}\n/* its end */"),
        ]);
        for other in others {
            // Of two members of one name the second reader keeps the last.
            let again = OAuthConfig::from_json(&other);
            let again = again.unwrap_or_else(|error| panic!("{error}: {other}"));
            assert_eq!(format!("{again:?}"), debug, "{other}");
        }
    }
}
