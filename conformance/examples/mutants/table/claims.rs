//! What is wrong with what an assertion says.

use serde_json::Value;

use super::sends::JWT;
use crate::mutant::{Mutant, Way};

fn says(
    name: impl Into<String>,
    spoil: impl Fn(&mut Value, &mut Value) + Send + Sync + 'static,
) -> Mutant {
    let spoil = move |header: &mut Value, claims: &mut Value, _| spoil(header, claims);
    Mutant::new(name, Way::Claims(Box::new(spoil))).only(JWT)
}

pub(crate) fn all() -> Vec<Mutant> {
    let mut all = Vec::new();
    for name in ["iss", "aud", "iat", "exp", "jti"] {
        all.push(says(
            format!("assertion-without-{name}"),
            move |_, claims| {
                claims.as_object_mut().map(|claims| claims.remove(name));
            },
        ));
    }
    all.extend([
        says("assertion-without-kid", |header, _| {
            header.as_object_mut().map(|header| header.remove("kid"));
        }),
        says("assertion-rs512", |header, _| {
            header["alg"] = "RS512".into()
        }),
        says("assertion-kid-of-the-client", |header, claims| {
            header["kid"] = claims["iss"].clone();
        }),
        says("assertion-aud-is-a-url", |_, claims| {
            let host = claims["aud"].as_str().unwrap_or_default();
            claims["aud"] = format!("http://{host}/").into();
        }),
        says("assertion-iss-is-the-key", |header, claims| {
            claims["iss"] = header["kid"].clone();
        }),
        says("assertion-in-milliseconds", |_, claims| {
            for name in ["iat", "exp"] {
                claims[name] = (claims[name].as_u64().unwrap_or_default() * 1000).into();
            }
        }),
        says("assertion-lives-a-day", |_, claims| {
            claims["exp"] = (claims["iat"].as_u64().unwrap_or_default() + 86_400).into();
        }),
        says("assertion-ends-when-it-begins", |_, claims| {
            claims["exp"] = claims["iat"].clone();
        }),
        says("assertion-jti-always-the-same", |_, claims| {
            claims["jti"] = "1".into();
        }),
        Mutant::new(
            "assertion-jti-good-for-two",
            Way::Claims(Box::new(|_, claims, sent| {
                claims["jti"] = (sent / 2).to_string().into();
            })),
        )
        .only(JWT),
        says("assertion-session-context-flat", |_, claims| {
            if let Some(context) = claims.get("session_context").cloned() {
                claims["session_context"] = context["device_info"].clone();
            }
        }),
        says("assertion-session-name-in-camel-case", |_, claims| {
            if let Some(name) = claims.get("session_name").cloned() {
                claims["sessionName"] = name;
                claims.as_object_mut().map(|all| all.remove("session_name"));
            }
        }),
    ]);
    all
}
