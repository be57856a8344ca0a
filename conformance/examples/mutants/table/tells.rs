//! What a caller is told, and is not so.

use coze_auth_conformance::client::{Failure, Outcome};
use serde_json::{Value, json};
use url::Url;

use super::asks::any_state;
use crate::client::is_grant;
use crate::mutant::{Mutant, Told, Way};

pub(super) fn tells(
    name: impl Into<String>,
    spoil: impl Fn(&Told<'_>, &mut Outcome) + Send + Sync + 'static,
) -> Mutant {
    Mutant::new(name, Way::Tells(Box::new(spoil)))
}

/// Of a success.
pub(super) fn ok(outcome: &mut Outcome, spoil: impl FnOnce(&mut Value)) {
    if let Outcome::Ok(value) = outcome {
        spoil(value);
    }
}

/// A text of a success is told otherwise.
fn text(name: &str, member: &'static str, spoil: fn(&str) -> String) -> Mutant {
    tells(name, move |_, outcome| {
        ok(outcome, |value| {
            if let Some(text) = value[member].as_str() {
                value[member] = spoil(text).into();
            }
        });
    })
}

/// Of a failure.
fn err(outcome: &mut Outcome, spoil: impl FnOnce(&mut Failure)) {
    if let Outcome::Err(failure) = outcome {
        spoil(failure);
    }
}

/// Of what many callers of one client got.
fn of_many(name: &str, spoil: fn(&mut Vec<Value>)) -> Mutant {
    tells(name, move |told, outcome| {
        ok(outcome, |value| {
            if let (true, Some(results)) = (
                told.op == "client.parallel",
                value["results"].as_array_mut(),
            ) {
                spoil(results);
            }
        });
    })
    .only(&["client.parallel"])
}

pub(crate) fn all() -> Vec<Mutant> {
    let mut all = Vec::new();
    // Its caller goes on as if all were well.
    let swallowed: [(&str, &'static [&'static str]); 9] = [
        ("config-errors-swallowed", &["config.load", "client.new"]),
        ("login-errors-swallowed", &["web.token", "pkce.token"]),
        ("device-errors-swallowed", &["device.start", "device.poll"]),
        ("jwt-errors-swallowed", &["jwt.token"]),
        ("refresh-errors-swallowed", &["refresh"]),
        ("workload-errors-swallowed", &["workload.token"]),
        (
            "workload-outbound-errors-swallowed",
            &["workload.integration", "workload.project_env"],
        ),
        ("api-errors-swallowed", &["api.call"]),
        (
            "provider-errors-swallowed",
            &["provider.token", "provider.parallel"],
        ),
    ];
    for (name, ops) in swallowed {
        let nothing = || json!({ "access_token": "", "credential": "", "variables": [] });
        let mutant = tells(name, move |told, outcome| {
            if !ops.contains(&told.op) {
                return;
            }
            match outcome {
                Outcome::Err(_) => *outcome = Outcome::Ok(nothing()),
                Outcome::Ok(value) => {
                    let results = value.get_mut("results").and_then(Value::as_array_mut);
                    for result in results.into_iter().flatten() {
                        if result.get("err").is_some() {
                            *result = json!({ "ok": nothing() });
                        }
                    }
                }
                Outcome::Unsupported(_) => {}
            }
        });
        all.push(mutant.only(ops));
    }
    for (name, kind) in [
        ("refusals-told-as-transport", "transport"),
        ("refusals-told-as-parse", "parse"),
    ] {
        all.push(tells(name, move |_, outcome| {
            err(outcome, |failure| {
                if ["oauth", "api"].contains(&failure.kind.as_str()) {
                    kind.clone_into(&mut failure.kind);
                }
            });
        }));
    }
    all.extend([
        tells("transport-told-as-api", |_, outcome| {
            err(outcome, |failure| {
                if ["transport", "timeout"].contains(&failure.kind.as_str()) {
                    failure.kind = "api".to_owned();
                }
            });
        })
        .in_workloads(),
        tells("transport-told-with-status-0", |_, outcome| {
            err(outcome, |failure| {
                if ["transport", "timeout"].contains(&failure.kind.as_str()) {
                    failure.http_status = Some(0);
                }
            });
        }),
        tells("codes-not-told", |_, outcome| {
            err(outcome, |failure| failure.code = None);
        })
        .in_workloads(),
        tells("errors-quote-the-arguments", |told, outcome| {
            err(outcome, |failure| {
                failure.message += &json!(told.args).to_string()
            });
        })
        .in_workloads(),
        tells("errors-quote-the-request", |told, outcome| {
            err(outcome, |failure| {
                failure.message += &told.recording.sent.concat()
            });
        })
        .in_workloads(),
        tells("errors-quote-the-answer", |told, outcome| {
            err(outcome, |failure| {
                failure.message += &told.recording.received.concat()
            });
        })
        .in_workloads(),
        tells("errors-quote-the-key", |told, outcome| {
            err(outcome, |failure| {
                failure.message += told.recording.key.as_deref().unwrap_or_default()
            });
        }),
        tells("expires-at-is-a-duration", |told, outcome| {
            ok(outcome, |value| {
                if let Some(at) = value["expires_at"].as_u64() {
                    value["expires_at"] = at.saturating_sub(told.now).into();
                }
            });
        }),
        tells("expires-at-added-to-now", |told, outcome| {
            ok(outcome, |value| {
                if let Some(at) = value["expires_at"].as_u64() {
                    value["expires_at"] = (told.now + at).into();
                }
            });
        }),
        tells("refresh-token-lost", |_, outcome| {
            ok(outcome, |value| value["refresh_token"] = Value::Null);
        }),
        tells("old-refresh-token-told", |told, outcome| {
            let old = told.args.get("refresh_token").cloned();
            ok(outcome, |value| {
                if let Some(old) = old {
                    value["refresh_token"] = old;
                }
            });
        }),
        tells("old-access-token-told", |told, outcome| {
            let first = told.recording.received.iter().find_map(|body| {
                let body: Value = serde_json::from_str(body).ok()?;
                body["access_token"].as_str().map(str::to_owned)
            });
            ok(outcome, |value| {
                if let (Some(first), true) = (first, is_grant(told.op)) {
                    value["access_token"] = first.into();
                }
            });
        }),
        text("token-told-with-its-type", "access_token", |token| {
            format!("Bearer {token}")
        }),
        text(
            "token-told-in-lower-case",
            "access_token",
            str::to_lowercase,
        ),
        text("user-not-told", "user_id", |_| String::new()),
        tells("kind-of-config-not-told", |told, outcome| {
            ok(outcome, |value| {
                if told.op == "config.load" {
                    value["kind"] = "oauth".into();
                }
            });
        }),
        text("user-code-in-lower-case", "user_code", str::to_lowercase),
        text("page-without-scheme", "verification_uri", |page| {
            page.replace("http://", "").replace("https://", "")
        }),
        tells("dead-on-arrival-by-the-calendar", |told, outcome| {
            let dead = match &*outcome {
                Outcome::Ok(value) => value["expires_at"]
                    .as_u64()
                    .is_some_and(|at| at <= told.now + 840),
                _ => false,
            };
            if dead {
                *outcome = Outcome::Err(Failure::new("other", "the token has expired"));
            }
        }),
        tells("api-answers-not-read", |told, outcome| {
            if told.op == "api.call" && matches!(outcome, Outcome::Ok(_)) {
                *outcome = Outcome::Err(Failure::new("parse", "no members"));
            }
        })
        .only(&["api.call"]),
        tells("good-for-one-exchange", |told, outcome| {
            let exchanges = told.recording.sent.iter();
            let exchanges = exchanges.filter(|sent| sent.contains("authorization_code"));
            if told.op == "web.token" && exchanges.count() > 1 {
                *outcome = Outcome::Err(Failure::new("other", "the login is over"));
            }
        })
        .only(&["web.token"]),
        tells("first-attempt-counts", |told, outcome| {
            let attempt = told.args.get("attempt").and_then(Value::as_str);
            if attempt.is_some() && attempt != told.recording.attempts.first().map(String::as_str) {
                *outcome = Outcome::Err(Failure::new("other", "that is another login"));
            }
        })
        .only(&["web.token"]),
        // It is found out when the tokens are there.
        tells("state-compared-late", |told, outcome| {
            let callback = told.args.get("callback").and_then(Value::as_str);
            let url = callback.and_then(|callback| Url::parse(callback).ok());
            let (Some(url), Some(state)) = (url, told.state) else {
                return;
            };
            let mut states = url.query_pairs().filter(|(name, _)| name == "state");
            let is_right = states.next().is_some_and(|(_, sent)| sent == state);
            if !is_right || states.next().is_some() {
                *outcome = Outcome::Err(Failure::new("other", "that is another login"));
            }
        })
        .and(Way::Callback(any_state))
        .only(&["web.token", "pkce.token"]),
        tells("errors-of-another-type", |_, outcome| {
            err(outcome, |failure| failure.documented = Some(false));
        }),
        of_many("answers-of-callers-mixed-up", |results| {
            results.rotate_left(1)
        }),
        of_many("one-answer-for-all-callers", |results| {
            if let Some(last) = results.last().cloned() {
                results.fill(last);
            }
        }),
        tells("races-where-a-detector-looks", |told, outcome| {
            ok(outcome, |value| {
                if told.op == "process.end" {
                    value["exit_code"] = 66.into();
                }
            });
        })
        .only(&["process.end"]),
        Mutant::new(
            "logs-what-it-sends",
            Way::Logs(|recording| recording.sent.clone()),
        )
        .in_workloads(),
        Mutant::new(
            "logs-what-it-receives",
            Way::Logs(|recording| recording.received.clone()),
        )
        .in_workloads(),
    ]);
    all
}
