//! What is wrong with the URL that a person is sent to, and with what is told of it.

use coze_auth_conformance::client::Outcome;
use serde_json::Value;
use url::Url;

use super::tells::{ok, tells};
use crate::mutant::{Mutant, Told, Way};

const AUTHORIZE: &[&str] = &["web.authorize_url", "pkce.authorize_url"];

fn change_url(outcome: &mut Outcome, change: impl FnOnce(&mut Url)) {
    ok(outcome, |value| {
        if let Some(mut url) = value["url"].as_str().and_then(|url| Url::parse(url).ok()) {
            change(&mut url);
            value["url"] = url.as_str().into();
        }
    });
}

pub(crate) fn all() -> Vec<Mutant> {
    let url = |name: &str, spoil: fn(&Told<'_>, &mut Url, &mut Vec<(String, String)>)| {
        tells(format!("authorize-{name}"), move |told, outcome| {
            let change = |url: &mut Url| {
                let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                spoil(told, url, &mut pairs);
                url.query_pairs_mut().clear().extend_pairs(pairs);
            };
            change_url(outcome, change);
            // It believes its own state.
            ok(outcome, |value| {
                let url = value["url"].as_str().and_then(|url| Url::parse(url).ok());
                let mut pairs = url.iter().flat_map(Url::query_pairs);
                if let Some((_, state)) = pairs.find(|(name, _)| name == "state") {
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
        .only(AUTHORIZE)
    };
    let mut all = Vec::new();
    for name in [
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "code_challenge",
        "code_challenge_method",
    ] {
        let without = tells(format!("authorize-without-{name}"), move |_, outcome| {
            change_url(outcome, |url| {
                let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                let pairs = pairs.iter().filter(|(had, _)| had != name);
                url.query_pairs_mut().clear().extend_pairs(pairs);
            });
        });
        all.push(without.only(AUTHORIZE));
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
        url("with-the-state-of-always", |_, _, pairs| {
            for (name, value) in pairs {
                if name == "state" {
                    "0123456789abcdef0123456789abcdef".clone_into(value);
                }
            }
        }),
        url("with-a-short-state", |_, _, pairs| {
            for (name, value) in pairs {
                if name == "state" {
                    value.truncate(8);
                }
            }
        }),
        url("with-the-client-twice", |_, _, pairs| {
            let client = pairs.iter().find(|(name, _)| name == "client_id").cloned();
            pairs.extend(client);
        }),
        url("with-response-type-token", |_, _, pairs| {
            for (name, value) in pairs {
                if name == "response_type" {
                    "token".clone_into(value);
                }
            }
        }),
        url("with-the-secret", |told, _, pairs| {
            let secret = told.seen.secret.clone();
            pairs.extend(secret.map(|secret| ("client_secret".to_owned(), secret)));
        }),
        url("redirect-without-query", |_, _, pairs| {
            for (name, value) in pairs {
                if name == "redirect_uri" {
                    *value = value
                        .split(['?', '#'])
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                }
            }
        }),
        url("challenge-padded", |_, _, pairs| {
            for (name, value) in pairs {
                if name == "code_challenge" {
                    value.push('=');
                }
            }
        }),
        url("challenge-named-plain", |_, _, pairs| {
            for (name, value) in pairs {
                if name == "code_challenge_method" {
                    "plain".clone_into(value);
                }
            }
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
        tells("authorize-verifier-in-the-url", |_, outcome| {
            ok(outcome, |value| {
                let url = value["url"].as_str().map(str::to_owned);
                if let (Some(url), Some(verifier)) = (url, value["code_verifier"].as_str()) {
                    value["url"] = format!("{url}&code_verifier={verifier}").into();
                }
            });
        }),
        tells("verifier-of-ten-characters", |_, outcome| {
            ok(outcome, |value| {
                if let Some(verifier) = value["code_verifier"].as_str() {
                    value["code_verifier"] = verifier[..10].into();
                }
            });
        }),
        tells("verifier-is-the-state", |_, outcome| {
            ok(outcome, |value| {
                if value.get("code_verifier").is_some() {
                    value["code_verifier"] = value["state"].clone();
                }
            });
        }),
        tells("verifier-always-the-same", |_, outcome| {
            ok(outcome, |value| {
                if value.get("code_verifier").is_some() {
                    value["code_verifier"] = "0123456789012345678901234567890123456789abc".into();
                }
            });
        }),
    ]);
    all
}
