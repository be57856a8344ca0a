//! An assertion with other claims, signed anew.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coze_auth_core::Request;
use coze_auth_core::http::HeaderValue;
use coze_auth_core::http::header::AUTHORIZATION;
use coze_auth_core::jwt::{RsaKey, Signer as _};
use serde_json::Value;

/// Replaces the assertion of a request, if it has one.
pub(crate) fn spoil(request: &mut Request, key: &str, spoil: impl FnOnce(&mut Value, &mut Value)) {
    let bearer = request.headers().get(AUTHORIZATION);
    let Some(assertion) = bearer.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
    else {
        return;
    };
    let mut parts = assertion.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    });
    let (Some(Some(mut header)), Some(Some(mut payload))) = (parts.next(), parts.next()) else {
        return;
    };
    spoil(&mut header, &mut payload);
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encoded(&header), encoded(&payload));
    let Ok(key) = RsaKey::from_pem(key) else {
        return;
    };
    let signature = key.sign_rs256(input.as_bytes()).expect("a signature");
    let text = format!("Bearer {input}.{}", URL_SAFE_NO_PAD.encode(signature));
    let value = HeaderValue::from_str(&text).expect("base64 and dots");
    request.headers_mut().insert(AUTHORIZATION, value);
}
