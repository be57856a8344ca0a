//! What goes wrong with a workload: its two requests, and what its token opens.

use coze_auth_conformance::client::{Failure, Outcome};
use coze_auth_core::http::header::{AUTHORIZATION, CONTENT_TYPE};
use coze_auth_core::http::{HeaderValue, StatusCode};
use coze_auth_core::{Body, Request, Response};
use serde_json::{Map, Value, json};
use url::form_urlencoded::{Serializer, parse};

use super::reads::{members, reads};
use super::sends::{body, path, sends};
use super::tells::{ok, tells};
use crate::mutant::{Mutant, Way};

const GRANT: &[&str] = &["workload.token", "provider.new"];
const INTEGRATION: &[&str] = &["workload.integration"];
const VARIABLES: &[&str] = &["workload.project_env"];
/// The settings of a workload.
const SETTINGS: [&str; 4] = [
    "client_id",
    "client_secret",
    "identity_endpoint",
    "access_endpoint",
];

type Members = Vec<(String, String)>;

/// The members of a form; none if it is another request.
fn form(request: &Request) -> Option<Members> {
    let kind = request.headers().get(CONTENT_TYPE)?;
    let is_form = kind == "application/x-www-form-urlencoded";
    is_form.then(|| parse(request.body().as_bytes()).into_owned().collect())
}

fn member(members: &Members, name: &str) -> Option<String> {
    let found = members.iter().find(|(had, _)| had == name);
    found.map(|(_, value)| value.clone())
}

/// Whether it is the second request.
fn is_exchange(members: &Members) -> bool {
    member(members, "subject_token").is_some()
}

/// The members of each form are others.
fn forms(
    name: impl Into<String>,
    spoil: impl Fn(&mut Members, &mut Request) + Send + Sync + 'static,
) -> Mutant {
    let mutant = sends(format!("workload-{}", name.into()), move |request| {
        if let Some(mut members) = form(request) {
            spoil(&mut members, request);
            let text = Serializer::new(String::new())
                .extend_pairs(members)
                .finish();
            *request.body_mut() = Body::from(text.into_bytes());
        }
    });
    mutant.only(GRANT)
}

/// A header of all requests of a workload.
fn header(request: &mut Request, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("a header");
    request.headers_mut().insert(name, value);
}

/// How a good answer to the second request is read, as for its life.
fn life(name: &str, spoil: fn(&mut Map<String, Value>)) -> Mutant {
    let mutant = reads(format!("workload-life-{name}"), move |request, response| {
        if form(request).is_some_and(|form| is_exchange(&form)) && response.status().is_success() {
            members(response, spoil);
        }
    });
    mutant.only(GRANT)
}

fn number(members: &Map<String, Value>) -> Option<u64> {
    members.get("expires_in")?.as_u64()
}

/// How the `data` of an answer is read.
fn data(name: &str, ops: &'static [&'static str], spoil: fn(&mut Map<String, Value>)) -> Mutant {
    let mutant = reads(format!("workload-{name}"), move |request, response| {
        if form(request).is_none() && response.status().is_success() {
            members(response, |members| {
                if let Some(data) = members.get_mut("data").and_then(Value::as_object_mut) {
                    spoil(data);
                }
            });
        }
    });
    mutant.only(ops)
}

/// What is told of variables.
fn variables(name: &str, spoil: fn(&mut Vec<Value>)) -> Mutant {
    let mutant = tells(format!("workload-variables-{name}"), move |_, outcome| {
        ok(outcome, |value| {
            if let Some(all) = value["variables"].as_array_mut() {
                spoil(all);
            }
        });
    });
    mutant.only(VARIABLES)
}

/// Another setting in the place of an empty one.
fn settings(name: &str, other: fn(&str, &Map<String, Value>) -> Value) -> Mutant {
    let fill = move |op: &str, args: &mut Map<String, Value>| {
        let given = args.clone();
        for setting in SETTINGS {
            if op == "client.new" && args.get(setting).is_some_and(|value| value == "") {
                args.insert(setting.to_owned(), other(setting, &given));
            }
        }
    };
    Mutant::new(format!("workload-{name}"), Way::Asks(Box::new(fill))).only(GRANT)
}

/// A URL on the same server at which nothing is.
fn another(url: &Value) -> Value {
    format!("{}/another", url.as_str().unwrap_or_default()).into()
}

/// The lane in the place of one that no header holds.
const FITS: &str = "made-to-fit";

fn clean_lane(_: &str, args: &mut Map<String, Value>) {
    if let Some(Value::String(lane)) = args.get_mut("lane")
        && !lane.bytes().all(|byte| byte.is_ascii_graphic())
    {
        FITS.clone_into(lane);
    }
}

/// As text, whatever it is.
fn as_text(value: &mut Value) {
    if !value.is_string() {
        *value = value.to_string().into();
    }
}

fn refused(response: &mut Response) {
    *response.status_mut() = StatusCode::BAD_REQUEST;
    *response.body_mut() = Body::from(br#"{"error":"server_error"}"#.to_vec());
}

pub(crate) fn all() -> Vec<Mutant> {
    let mut all = Vec::new();
    for name in [
        "grant_type",
        "client_id",
        "client_secret",
        "subject_token",
        "subject_token_type",
    ] {
        all.push(forms(format!("sent-without-{name}"), move |members, _| {
            members.retain(|(had, _)| had != name);
        }));
    }
    all.extend([
        forms("exchange-without-client_id", |members, _| {
            if is_exchange(members) {
                members.retain(|(had, _)| had != "client_id");
            }
        }),
        forms("secret-in-both-requests", |members, _| {
            if is_exchange(members) {
                members.push(("client_secret".to_owned(), "the-secret".to_owned()));
            }
        }),
        forms("subject-type-is-jwt", |members, _| {
            for (name, value) in members {
                if name == "subject_token_type" {
                    "urn:ietf:params:oauth:token-type:jwt".clone_into(value);
                }
            }
        }),
        forms("with-scope-and-audience", |members, _| {
            for name in ["scope", "audience", "resource", "requested_token_type"] {
                members.push((name.to_owned(), "api".to_owned()));
            }
        }),
        // As RFC 6749 §2.3.1 has it.
        forms("secret-as-basic", |members, request| {
            if let Some(secret) = member(members, "client_secret") {
                header(request, "authorization", &format!("Basic {secret}"));
                members.retain(|(had, _)| had != "client_secret");
            }
        }),
        // As every other secret of Coze's.
        forms("credential-as-bearer-too", |members, request| {
            let own = member(members, "client_secret").or_else(|| member(members, "subject_token"));
            header(
                request,
                "authorization",
                &format!("Bearer {}", own.unwrap_or_default()),
            );
        }),
        forms("secret-in-url", |members, request| {
            if let Some(secret) = member(members, "client_secret") {
                path(request, |old| format!("{old}?client_secret={secret}"));
            }
        }),
        forms("one-endpoint-for-both", |_, request| {
            path(request, |old| old.replace("/access/token", "/id/token"));
        }),
        sends("workload-json-not-form", |request| {
            if let Some(members) = form(request) {
                let members: Map<String, Value> = members
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect();
                header(request, "content-type", "application/json");
                *request.body_mut() = Body::from(Value::Object(members).to_string().into_bytes());
            }
        })
        .only(GRANT),
        sends("workload-form-not-encoded", |request| {
            if let Some(members) = form(request) {
                let pairs = members
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                let text = pairs.collect::<Vec<_>>().join("&");
                *request.body_mut() = Body::from(text.into_bytes());
            }
        })
        .only(GRANT),
        sends("workload-lane-not-sent", |request| {
            request.headers_mut().remove("x-tt-env");
            request.headers_mut().remove("x-use-ppe");
        })
        .only(GRANT),
        sends("workload-ppe-with-every-lane", |request| {
            if request.headers().contains_key("x-tt-env") {
                header(request, "x-use-ppe", "1");
            }
        })
        .only(GRANT),
        sends("workload-empty-lane-sent", |request| {
            if !request.headers().contains_key("x-tt-env") {
                header(request, "x-tt-env", "");
            }
        })
        .only(GRANT),
        Mutant::new("workload-lane-made-to-fit", Way::Asks(Box::new(clean_lane))).only(GRANT),
        Mutant::new(
            "workload-lane-looked-at-late",
            Way::Asks(Box::new(clean_lane)),
        )
        .and(Way::Tells(Box::new(|told, outcome| {
            if told.op == "workload.token" && told.recording.sent.concat().contains(FITS) {
                *outcome = Outcome::Err(Failure::new("config", "that is not a lane"));
            }
        })))
        .only(GRANT),
        settings(
            "empty-settings-not-looked-at",
            |setting, given| match setting {
                "identity_endpoint" => another(&given["access_endpoint"]),
                "access_endpoint" => another(&given["identity_endpoint"]),
                _ => "another".into(),
            },
        ),
        settings(
            "empty-settings-from-elsewhere",
            |setting, given| match setting {
                "identity_endpoint" => given["access_endpoint"].clone(),
                "access_endpoint" => given["identity_endpoint"].clone(),
                "client_id" => "5".repeat(32).into(),
                _ => "mockworkloadsecret0123456789mockworkloadsecret0123456789mockwork".into(),
            },
        ),
        reads(
            "workload-id-token-under-its-own-name",
            |request, response| {
                if form(request).is_some() {
                    members(response, |members| {
                        if let Some(token) = members.remove("id_token") {
                            members.entry("access_token").or_insert(token);
                        }
                    });
                }
            },
        )
        .only(GRANT),
        reads("workload-error-that-is-null-is-one", |request, response| {
            if form(request).is_none() {
                return;
            }
            let body: Result<Value, _> = serde_json::from_slice(response.body().as_bytes());
            if body.is_ok_and(|body| {
                body.get("error")
                    .is_some_and(|error| error.is_null() || error == "")
            }) {
                refused(response);
            }
        })
        .only(GRANT),
        life("of-a-moment-is-a-duration", |members| {
            if number(members).is_some_and(|n| n >= 1_000_000_000) {
                members.insert("expires_in".to_owned(), 999_999_999.into());
            }
        }),
        life("of-a-duration-is-a-moment", |members| {
            if number(members).is_some_and(|n| n < 1_000_000_000) {
                members.clear();
            }
        }),
        life("absent-is-a-day", |members| {
            members.entry("expires_in").or_insert(86_400.into());
        }),
        life("null-is-an-error", |members| {
            if members
                .get("expires_in")
                .is_some_and(|life| !life.is_number())
            {
                members.clear();
            }
        }),
        life("whatever-is-an-hour", |members| {
            members.insert("expires_in".to_owned(), 3600.into());
        }),
        sends("workload-integration-with-what-is-not-set", |request| {
            body(request, |members| {
                if members.contains_key("integration_name") {
                    members.insert("space_id".to_owned(), Value::Null);
                }
            });
        })
        .only(INTEGRATION),
        data("credential-is-whatever-it-is", INTEGRATION, |data| {
            data.entry("credential").and_modify(as_text);
        }),
        data("variables-are-whatever-they-are", VARIABLES, |data| {
            let all = data.get_mut("secrets").and_then(Value::as_array_mut);
            for one in all.into_iter().flatten() {
                as_text(&mut one["value"]);
            }
        }),
        data("no-variables-is-an-error", VARIABLES, |data| {
            if data.get("secrets") == Some(&json!([])) {
                data.clear();
            }
        }),
        tells("workload-credential-made-anew", |_, outcome| {
            ok(outcome, |value| {
                let text = value["credential"].as_str().unwrap_or_default();
                if let Ok(parsed) = serde_json::from_str::<Value>(text) {
                    value["credential"] = parsed.to_string().into();
                }
            });
        })
        .only(INTEGRATION),
        tells("workload-credential-out-of-its-json", |_, outcome| {
            ok(outcome, |value| {
                let text = value["credential"].as_str().unwrap_or_default();
                let parsed: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
                if let Some(first) = parsed.values().find(|value| value.is_string()) {
                    value["credential"] = first.clone();
                }
            });
        })
        .only(INTEGRATION),
        variables("sorted", |all| {
            all.sort_by_key(|one| one["name"].as_str().map(str::to_owned));
        }),
        variables("without-the-empty-ones", |all| {
            all.retain(|one| one["value"] != "");
        }),
        variables("last-of-a-name-counts", |all| {
            let later = all.clone();
            let mut at = 0;
            all.retain(|one| {
                at += 1;
                !later[at..].iter().any(|later| later["name"] == one["name"])
            });
        }),
        sends("workload-variables-with-the-token-in-the-url", |request| {
            let bearer = request.headers().get(AUTHORIZATION);
            let bearer = bearer.and_then(|value| Some(value.to_str().ok()?.replace("Bearer ", "")));
            if let (Some(token), true) = (bearer, request.uri().path().ends_with("/env")) {
                path(request, |old| format!("{old}?token={token}"));
            }
        })
        .only(VARIABLES),
        tells("workload-step-not-told", |_, outcome| {
            if let Outcome::Err(failure) = outcome {
                failure.grant_type = None;
            }
        })
        .only(GRANT),
    ]);
    all
}
