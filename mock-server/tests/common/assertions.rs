//! Signed assertions of the ready-made JWT app, for the tests of the mock and of the shadow.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    let pem = include_bytes!("../../dev-key.pem");
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).expect("a PKCS#8 key");
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key")
});

static JTI: AtomicU64 = AtomicU64::new(0);

/// A signed assertion; `change` gets header and claims before they are signed.
pub(crate) fn assertion(now: u64, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    assertion_by(None, now, change)
}

/// The same, signed by another key than the development key.
pub(crate) fn assertion_by(
    key: Option<&RsaKeyPair>,
    now: u64,
    change: impl FnOnce(&mut Value, &mut Value),
) -> String {
    let key = key.unwrap_or_else(|| &*KEY);
    let jti = JTI.fetch_add(1, Ordering::Relaxed);
    let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": "mock-jwt-key-1" });
    let mut claims = json!({
        "iss": "100000000001",
        "aud": "api.coze.cn",
        "iat": now,
        "exp": now + 600,
        "jti": format!("jti-{jti}"),
    });
    change(&mut header, &mut claims);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
