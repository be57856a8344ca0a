//! How an answer is read wrongly.

use coze_auth_core::http::StatusCode;
use coze_auth_core::{Body, Request, Response};
use serde_json::{Map, Value};

use crate::mutant::{Mutant, Way};

const POLL: &[&str] = &["device.poll"];

pub(super) fn reads(
    name: impl Into<String>,
    spoil: impl Fn(&Request, &mut Response) + Send + Sync + 'static,
) -> Mutant {
    Mutant::new(name, Way::Reads(Box::new(spoil)))
}

/// Changes the members of an answer that is an object.
pub(super) fn members(response: &mut Response, spoil: impl FnOnce(&mut Map<String, Value>)) {
    if let Ok(mut members) = serde_json::from_slice(response.body().as_bytes()) {
        spoil(&mut members);
        set(response, &Value::Object(members));
    }
}

fn set(response: &mut Response, value: &Value) {
    *response.body_mut() = Body::from(value.to_string().into_bytes());
}

/// The OAuth code of an answer is another one.
fn code(response: &mut Response, old: &str, new: &str) {
    members(response, |members| {
        for name in ["error", "error_code"] {
            if members.get(name).is_some_and(|code| code == old) {
                members.insert(name.to_owned(), new.into());
            }
        }
    });
}

fn is_token(request: &Request) -> bool {
    request.uri().path().ends_with("/token")
}

fn is_device_code(request: &Request) -> bool {
    request.uri().path().ends_with("/device/code")
}

pub(crate) fn all() -> Vec<Mutant> {
    let mut all = Vec::new();
    for member in ["error", "error_code", "code", "msg", "error_message"] {
        all.push(reads(format!("{member}-not-read"), move |_, response| {
            members(response, |members| drop(members.remove(member)));
        }));
    }
    for (name, old, new) in [
        ("slow-down-is-pending", "slow_down", "authorization_pending"),
        ("slow-down-is-the-end", "slow_down", "server_error"),
        (
            "pending-is-the-end",
            "authorization_pending",
            "server_error",
        ),
        (
            "denied-is-pending",
            "access_denied",
            "authorization_pending",
        ),
        ("denied-is-expired", "access_denied", "expired_token"),
        (
            "expired-is-pending",
            "expired_token",
            "authorization_pending",
        ),
        ("expired-is-denied", "expired_token", "access_denied"),
    ] {
        let mutant = reads(name, move |_, response| code(response, old, new));
        all.push(mutant.only(POLL));
    }
    for status in [200_u16, 400, 428, 429] {
        let mutant = reads(
            format!("poll-under-{status}-is-the-end"),
            move |_, response| {
                if response.status() == status {
                    code(response, "authorization_pending", "invalid_grant");
                    code(response, "slow_down", "invalid_grant");
                    *response.status_mut() = StatusCode::OK;
                }
            },
        );
        all.push(mutant.only(POLL));
    }
    for member in ["device_code", "user_code", "verification_uri"] {
        let name = format!("missing-{member}-is-undefined");
        let mutant = reads(name, move |request, response| {
            if is_device_code(request) && response.status().is_success() {
                members(response, |members| {
                    let undefined = "http://undefined/undefined";
                    members.entry(member).or_insert_with(|| undefined.into());
                });
            }
        });
        all.push(mutant.only(&["device.start"]));
    }
    all.extend([
        reads("status-not-read", |_, response| {
            *response.status_mut() = StatusCode::OK;
        }),
        reads("server-errors-are-read-as-answers", |_, response| {
            if response.status().is_server_error() {
                *response.status_mut() = StatusCode::OK;
            }
        }),
        reads("refusals-with-a-token-are-grants", |request, response| {
            members(response, |members| {
                if is_token(request) && members.contains_key("access_token") {
                    members.retain(|name, _| !name.starts_with("error") && name != "code");
                }
            });
            if response.status().is_client_error() {
                *response.status_mut() = StatusCode::OK;
            }
        }),
        reads("redirects-are-read-as-answers", |_, response| {
            if response.status().is_redirection() {
                *response.status_mut() = StatusCode::OK;
            }
        }),
        reads("errors-under-200-not-read", |_, response| {
            if response.status().is_success() {
                members(response, |members| {
                    members.retain(|name, _| !name.starts_with("error") && name != "code");
                });
            }
        }),
        reads("missing-token-is-undefined", |request, response| {
            if is_token(request) && response.status().is_success() {
                members(response, |members| {
                    let has = members.get("access_token").and_then(Value::as_str);
                    if has.is_none_or(str::is_empty) && !members.contains_key("error") {
                        members.insert("access_token".to_owned(), "undefined".into());
                        members.entry("expires_in").or_insert(1_750_000_900.into());
                    }
                });
            }
        }),
        reads("what-is-no-object-is-a-grant", |request, response| {
            let body: Result<Value, _> = serde_json::from_slice(response.body().as_bytes());
            if is_token(request)
                && response.status().is_success()
                && !body.is_ok_and(|body| body.is_object())
            {
                let made = r#"{"access_token":"undefined","expires_in":1750000900}"#;
                *response.body_mut() = Body::from(made.as_bytes().to_vec());
            }
        }),
        reads("unknown-members-refused", |request, response| {
            if is_token(request) && response.status().is_success() {
                members(response, |members| {
                    let known = ["access_token", "refresh_token", "expires_in", "token_type"];
                    if members.keys().any(|name| !known.contains(&name.as_str())) {
                        members.clear();
                    }
                });
            }
        }),
        reads("token-type-required", |request, response| {
            if is_token(request) && response.status().is_success() {
                members(response, |members| {
                    if !members.contains_key("token_type") {
                        members.clear();
                    }
                });
            }
        }),
        reads("refresh-token-required", |request, response| {
            if is_token(request) && response.status().is_success() {
                members(response, |members| {
                    if !members.contains_key("refresh_token") {
                        members.clear();
                    }
                });
            }
        }),
        reads("device-interval-not-read", |request, response| {
            if is_device_code(request) {
                members(response, |members| {
                    members.insert("interval".to_owned(), 1.into());
                });
            }
        })
        .only(&["device.start"]),
        reads(
            "device-interval-missing-is-one-second",
            |request, response| {
                if is_device_code(request) {
                    members(response, |members| {
                        members.entry("interval").or_insert(1.into());
                    });
                }
            },
        )
        .only(&["device.start"]),
        reads("device-login-cut-to-half-a-minute", |request, response| {
            if is_device_code(request) {
                members(response, |members| {
                    members.insert("expires_in".to_owned(), 30.into());
                });
            }
        })
        .only(&["device.start"]),
        reads("a-header-twice-is-no-answer", |_, response| {
            let headers = response.headers();
            if headers
                .keys()
                .any(|name| headers.get_all(name).iter().count() > 1)
            {
                *response.body_mut() = Body::default();
                *response.status_mut() = StatusCode::OK;
            }
        }),
        reads("any-error-is-pending", |_, response| {
            for old in [
                "access_deny",
                "invalid_grant",
                "invalid_client",
                "server_error",
            ] {
                code(response, old, "authorization_pending");
            }
        })
        .only(POLL),
        reads("a-page-is-a-refusal", |_, response| {
            let page = response.body().as_bytes().starts_with(b"<");
            if page && response.status().is_client_error() {
                *response.body_mut() = Body::from(br#"{"error":"server_error"}"#.to_vec());
            }
        })
        .only(POLL),
        reads("a-number-is-a-refusal", |_, response| {
            members(response, |members| {
                if members.remove("code").is_some_and(|code| code != 0) {
                    members.insert("error".to_owned(), "server_error".into());
                }
            });
        })
        .only(POLL),
        reads("redirects-end-the-poll", |_, response| {
            if response.status().is_redirection() {
                *response.status_mut() = StatusCode::BAD_REQUEST;
                *response.body_mut() = Body::from(br#"{"error":"server_error"}"#.to_vec());
            }
        })
        .only(POLL),
        reads(
            "json-that-a-strict-reader-refuses-is-none",
            |_, response| {
                let body = response.body().as_bytes();
                if body.starts_with(b"{") && serde_json::from_slice::<Value>(body).is_err() {
                    *response.body_mut() = Body::from(b"<".to_vec());
                }
            },
        ),
        reads("a-byte-order-mark-is-no-json", |_, response| {
            if response
                .body()
                .as_bytes()
                .starts_with("\u{feff}".as_bytes())
            {
                *response.body_mut() = Body::from(b"<".to_vec());
            }
        }),
        reads("expires-in-has-to-be-an-integer", |request, response| {
            if is_token(request) {
                members(response, |members| {
                    if members.get("expires_in").is_some_and(|end| !end.is_i64()) {
                        members.remove("expires_in");
                    }
                });
            }
        }),
        reads("retry-after-as-a-date-not-read", |_, response| {
            let asked = response.headers().get("retry-after");
            if asked.is_some_and(|asked| asked.as_bytes().ends_with(b"GMT")) {
                response.headers_mut().remove("retry-after");
            }
        }),
        reads("log-id-not-read", |_, response| {
            response.headers_mut().remove("x-tt-logid");
        }),
    ]);
    all
}
