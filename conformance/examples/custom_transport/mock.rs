//! What both examples take from the mock server.

use std::error::Error;

use coze_auth_mock::CozeAuthMock;
use coze_auth_tokens::core::Endpoints;
use coze_auth_tokens::core::jwt::{JwtApp, RsaKey};

/// Its ready-made JWT app. Yours is in the environment: `jwt_app_from_env`.
pub(crate) fn jwt_app(mock: &CozeAuthMock) -> Result<JwtApp, Box<dyn Error>> {
    let info = mock.info();
    let apps = info["apps"].as_array().ok_or("no apps")?;
    let app = apps.iter().find(|app| app["kind"] == "jwt");
    let app = app.ok_or("no JWT app")?;
    let text = |name: &str| app[name].as_str().unwrap_or_default();
    let key = RsaKey::from_pem(text("private_key"))?;
    let endpoints = Endpoints::custom(mock.base_url())?;
    Ok(JwtApp::new(
        endpoints,
        text("client_id"),
        text("key_id"),
        key,
    )?)
}

/// Prints what it has seen.
pub(crate) fn print_journal(mock: &CozeAuthMock) {
    for entry in mock.requests() {
        println!("  {} {}", entry.endpoint, entry.outcome.status);
    }
}
