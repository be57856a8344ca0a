//! An app of the upstream, from the `coze_oauth_config.json` that Coze's console gives (protocol §9).

use std::fs;
use std::path::Path;

use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::redact::without_keys;
use crate::state::app::{App, AppKind, Key};

/// Reads the app. The error is for people, and quotes nothing of the file.
pub(crate) fn read(file: &Path) -> Result<App, String> {
    let shown = file.to_string_lossy();
    let shown = without_keys(&shown, &shown);
    let wrong = |why: &str| format!("{shown}: {why}");
    let text = fs::read(file).map_err(|error| wrong(&error.to_string()))?;
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let members: Value = serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(&format!("not JSON at line {line}, column {column}"))
    })?;
    let text = |name: &str| {
        let text = members[name].as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| wrong(&format!("{name} is missing, or is not a text")))
    };
    let kind = match text("client_type")? {
        "web" => AppKind::Web,
        "pkce" => AppKind::Pkce,
        "device" => AppKind::Device,
        "jwt" => AppKind::Jwt,
        _ => return Err(wrong("client_type is none of web, pkce, device and jwt")),
    };
    let mut app = App::named(kind, "an app of the upstream", text("client_id")?);
    if kind == AppKind::Web {
        app.client_secret = Some(text("client_secret")?.to_owned());
    }
    if kind == AppKind::Jwt {
        let public = public_key(text("private_key")?)
            .ok_or_else(|| wrong("private_key is not an RSA key of 2048 bits or more in PEM"))?;
        app.keys.push(Key {
            kid: text("public_key_id")?.to_owned(),
            public,
            development: false,
        });
    }
    if let Some(uris) = members["redirect_uris"].as_array() {
        let uris = uris.iter().filter_map(Value::as_str);
        app.redirect_uris = uris.map(str::to_owned).collect();
    }
    Ok(app)
}

/// The public half of a private key in PEM.
fn public_key(pem: &str) -> Option<ParsedPublicKey> {
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return None,
    };
    let key = key.ok()?;
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref()).ok()
}
