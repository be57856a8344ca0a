//! What is wrong with the URL that a person is sent to, and with what is told of it.

use serde_json::Value;
use url::Url;

use super::tells::{ok, tells};
use crate::mutant::{Mutant, Told, Way};

type Pairs = Vec<(String, String)>;

fn url(
    name: &str,
    spoil: impl Fn(&Told<'_>, &mut Url, &mut Pairs) + Send + Sync + 'static,
) -> Mutant {
    tells(format!("authorize-{name}"), move |told, outcome| {
        ok(outcome, |value| {
            let url = value["url"].as_str().and_then(|url| Url::parse(url).ok());
            let Some(mut url) = url else { return };
            let mut pairs: Pairs = url.query_pairs().into_owned().collect();
            spoil(told, &mut url, &mut pairs);
            url.query_pairs_mut().clear().extend_pairs(&pairs);
            value["url"] = url.as_str().into();
            // It believes its own state.
            if let Some((_, state)) = pairs.into_iter().find(|(name, _)| name == "state") {
                value["state"] = state.into();
            }
        });
    })
    .and(Way::Callback(|pairs, state| {
        for (name, value) in pairs {
            if name == "state" && state.starts_with(value.as_str()) {
                state.clone_into(value);
            }
        }
    }))
    .only(&["web.authorize_url", "pkce.authorize_url"])
}

/// One parameter is another.
fn parameter(name: &str, of: &'static str, spoil: fn(&mut String)) -> Mutant {
    url(name, move |_, _, pairs| {
        let values = pairs.iter_mut().filter(|(name, _)| name == of);
        values.for_each(|(_, value)| spoil(value));
    })
}

/// Of the code verifier, if there is one.
fn verifier(name: &str, spoil: fn(&mut Value, &str)) -> Mutant {
    tells(name, move |_, outcome| {
        ok(outcome, |value| {
            if let Some(verifier) = value["code_verifier"].as_str().map(str::to_owned) {
                spoil(value, &verifier);
            }
        });
    })
}

pub(crate) fn all() -> Vec<Mutant> {
    let mut all = Vec::new();
    for name in [
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "code_challenge",
        "code_challenge_method",
    ] {
        all.push(url(&format!("without-{name}"), move |_, _, pairs| {
            pairs.retain(|(had, _)| had != name);
        }));
    }
    all.extend([
        url("on-the-api-host", |_, url, _| {
            let host = url.host_str().unwrap_or_default().replace("www.", "api.");
            let _ = url.set_host(Some(&host));
        }),
        url("on-coze-com", |_, url, _| {
            let _ = url.set_host(Some("www.coze.com"));
        }),
        url("on-coze-cn", |_, url, _| {
            let _ = url.set_host(Some("www.coze.cn"));
        }),
        url("path-of-the-console", |_, url, _| {
            let path = url.path().replace("/oauth2/authorize", "/oauth2/consent");
            url.set_path(&path);
        }),
        parameter("with-the-state-of-always", "state", |value| {
            "0123456789abcdef0123456789abcdef".clone_into(value);
        }),
        parameter("with-a-short-state", "state", |value| {
            value.truncate(8);
        }),
        url("with-the-client-twice", |_, _, pairs| {
            let client = pairs.iter().find(|(name, _)| name == "client_id").cloned();
            pairs.extend(client);
        }),
        parameter("with-response-type-token", "response_type", |value| {
            "token".clone_into(value);
        }),
        url("with-the-secret", |told, _, pairs| {
            let secret = told.recording.secret.clone();
            pairs.extend(secret.map(|secret| ("client_secret".to_owned(), secret)));
        }),
        parameter("redirect-without-query", "redirect_uri", |value| {
            *value = value
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned();
        }),
        parameter("challenge-padded", "code_challenge", |value| {
            value.push('=');
        }),
        parameter("challenge-named-plain", "code_challenge_method", |value| {
            "plain".clone_into(value);
        }),
    ]);
    all.extend([
        tells("authorize-redirect-not-encoded", |told, outcome| {
            ok(outcome, |value| {
                let redirect = told.args.get("redirect_uri").and_then(Value::as_str);
                if let (Some(url), Some(redirect)) = (value["url"].as_str(), redirect) {
                    let encoded: String =
                        url::form_urlencoded::byte_serialize(redirect.as_bytes()).collect();
                    value["url"] = url.replace(&encoded, redirect).into();
                }
            });
        }),
        verifier("authorize-verifier-in-the-url", |value, verifier| {
            let url = value["url"].as_str().unwrap_or_default();
            value["url"] = format!("{url}&code_verifier={verifier}").into();
        }),
        verifier("verifier-of-ten-characters", |value, verifier| {
            value["code_verifier"] = verifier[..10].into();
        }),
        verifier("verifier-is-the-state", |value, _| {
            value["code_verifier"] = value["state"].clone();
        }),
        verifier("verifier-always-the-same", |value, _| {
            value["code_verifier"] = "0123456789012345678901234567890123456789abc".into();
        }),
    ]);
    all
}
