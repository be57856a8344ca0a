//! The assertion's text: header, claims, signature (protocol §5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{JwtGrant, JwtIssuer};
use crate::entropy::Entropy;
use crate::time::UnixTime;

/// What the token is counted for: one of the two (protocol §5).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SessionContext {
    /// `device_info.device_id`.
    Device(String),
    /// `device_info.custom_consumer`.
    Consumer(String),
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_context: Option<Context<'a>>,
}

#[derive(Serialize)]
pub(super) struct Context<'a> {
    device_info: DeviceInfo<'a>,
}

#[derive(Serialize)]
struct DeviceInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_consumer: Option<&'a str>,
}

impl SessionContext {
    pub(super) fn claim(&self) -> Context<'_> {
        let (device_id, custom_consumer) = match self {
            Self::Device(id) => (Some(id.as_str()), None),
            Self::Consumer(name) => (None, Some(name.as_str())),
        };
        Context {
            device_info: DeviceInfo {
                device_id,
                custom_consumer,
            },
        }
    }
}

/// The encoded header.
pub(super) fn header(key_id: &str) -> String {
    let mut text = String::new();
    encode(
        &Header {
            alg: "RS256",
            typ: "JWT",
            kid: key_id,
        },
        &mut text,
    );
    text
}

/// `header.claims`, the text that is signed.
pub(super) fn signing_input(
    issuer: &JwtIssuer,
    grant: &JwtGrant,
    entropy: &Entropy,
    now: UnixTime,
) -> Zeroizing<String> {
    // Coze advises more than 32 bytes, different each time: 64 hex digits of 256 random bits.
    let jti = hex(&*entropy.derive("coze-auth jti"));
    let claims = Claims {
        iss: &issuer.client_id,
        aud: &issuer.audience,
        iat: now.as_secs(),
        exp: issuer.expiry(now).as_secs(),
        jti: &jti,
        session_name: grant.session_name.as_deref(),
        session_context: grant.session_context.as_ref().map(SessionContext::claim),
    };
    // Room for the claims and the signature, so that no grown-out copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str(&issuer.header);
    text.push('.');
    encode(&claims, &mut text);
    text
}

/// `header.claims.signature`.
pub(super) fn append_signature(input: &str, signature: &[u8]) -> String {
    let mut text = String::with_capacity(input.len() + 1 + signature.len().div_ceil(3) * 4);
    text.push_str(input);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}

fn encode(part: &impl Serialize, text: &mut String) {
    let json = Zeroizing::new(
        serde_json::to_vec(part).expect("a struct of strings and numbers serialises"),
    );
    URL_SAFE_NO_PAD.encode_string(&*json, text);
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
