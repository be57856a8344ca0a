//! Private keys as people have them. `{key}` in the input is the body of the development key.
//!
//! A text is a usable key or an error that shows nothing of it; another layout of a key is the same key; what the core takes for a key is
//! never told as one by an error of the mock.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coze_auth_core::jwt::{RsaKey, Signer as _};
use coze_auth_mock::CozeAuthMock;

use crate::support::{is_plain, keeps, shown};

/// The mock's development key, which is a secret of nobody.
pub(crate) static KEY: LazyLock<String> = LazyLock::new(|| {
    let mock = CozeAuthMock::builder().seed(1).build().expect("a mock");
    let key = mock.variable("COZE_JWT_OAUTH_PRIVATE_KEY");
    key.expect("the development key")
});

/// Its base64, as lines.
pub(crate) static BODY: LazyLock<String> = LazyLock::new(|| {
    let lines = KEY.lines().filter(|line| !line.starts_with("-----"));
    lines.collect::<Vec<_>>().join("\n")
});

/// Which key it is: RS256 has one signature for each text.
fn print(key: &RsaKey) -> Vec<u8> {
    key.sign_rs256(b"which key is it").expect("a signature")
}

/// One text.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let text = text.replace("{key}", &BODY);
    // What an error may not show: any line of the key, and any long piece of what was handed in.
    let lines: Vec<&str> = BODY.lines().filter(|line| line.len() > 16).collect();
    let key = match RsaKey::from_pem(&text) {
        Ok(key) => key,
        Err(error) => {
            let told = shown(&error);
            keeps("an error", &told, &lines);
            is_plain("an error", &told);
            let pieces = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
            let pieces: Vec<&str> = pieces.filter(|piece| piece.len() > 24).collect();
            keeps("an error", &told, &pieces);
            return;
        }
    };
    keeps("Debug", &format!("{key:?}"), &lines);
    let own = print(&key);
    let crlf = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let indented = text.replace('\n', "\n    ");
    let wrapped = STANDARD.encode(&text);
    let quoted = format!("\"{text}\"");
    for (layout, other) in [
        ("CRLF", crlf),
        ("indented", indented),
        ("base64 of the file", wrapped),
        ("quoted", quoted),
    ] {
        // A text that is base64 of base64 already is as deep as it goes.
        match RsaKey::from_pem(&other) {
            Ok(key) => assert_eq!(print(&key), own, "another key when it is {layout}"),
            Err(error) if layout == "base64 of the file" => {
                assert!(!text.contains("-----BEGIN"), "{error}");
            }
            Err(error) => panic!("not a key when it is {layout}: {error}"),
        }
    }
}
