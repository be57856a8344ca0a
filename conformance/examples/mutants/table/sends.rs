//! What is wrong with what is sent.

use coze_auth_core::http::header::{AUTHORIZATION, CONTENT_TYPE};
use coze_auth_core::http::{HeaderValue, Method, Uri};
use coze_auth_core::{Body, Request};
use serde_json::{Map, Value};

use crate::mutant::{Mutant, Way};

const LOGIN: &[&str] = &["web.token", "pkce.token"];
const REFRESH: &[&str] = &["refresh", "provider.new"];
const POLL: &[&str] = &["device.poll"];
/// Where an assertion is signed.
pub(super) const JWT: &[&str] = &["jwt.token", "provider.new"];

pub(super) fn sends(
    name: impl Into<String>,
    spoil: impl Fn(&mut Request) + Send + Sync + 'static,
) -> Mutant {
    Mutant::new(name, Way::Sends(Box::new(spoil)))
}

/// Changes the JSON of a request that has some.
pub(super) fn body(request: &mut Request, spoil: impl FnOnce(&mut Map<String, Value>)) {
    if let Ok(mut members) = serde_json::from_slice(request.body().as_bytes()) {
        spoil(&mut members);
        *request.body_mut() = Body::from(Value::Object(members).to_string().into_bytes());
    }
}

fn member(request: &Request, name: &str) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_slice(request.body().as_bytes()).ok()?;
    Some(members.get(name)?.as_str()?.to_owned())
}

fn bearer(request: &Request) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

/// Another path or query on the same server.
pub(super) fn path(request: &mut Request, spoil: impl FnOnce(&str) -> String) {
    let uri = request.uri();
    let old = uri.path_and_query().map_or("/", |path| path.as_str());
    // The world of the case is the first part of the path.
    let origin = uri.to_string().replace(old, "");
    if let Ok(new) = format!("{origin}{}", spoil(old)).parse::<Uri>() {
        *request.uri_mut() = new;
    }
}

pub(crate) fn all() -> Vec<Mutant> {
    let mut all = Vec::new();
    let members: [(&str, &[&str]); 9] = [
        ("grant_type", &[]),
        ("client_id", &[]),
        ("code", LOGIN),
        ("redirect_uri", LOGIN),
        ("code_verifier", LOGIN),
        ("refresh_token", REFRESH),
        ("device_code", POLL),
        ("duration_seconds", JWT),
        ("scope", JWT),
    ];
    for (name, ops) in members {
        let without = sends(format!("sent-without-{name}"), move |request| {
            body(request, |members| drop(members.remove(name)));
        });
        all.push(without.only(ops));
        let in_url = sends(format!("{name}-in-url"), move |request| {
            if let Some(value) = member(request, name) {
                path(request, |old| format!("{old}?{name}={value}"));
            }
        });
        if ["code", "code_verifier", "refresh_token", "device_code"].contains(&name) {
            all.push(in_url.only(ops));
        }
    }
    all.extend([
        sends("bearer-in-url", |request| {
            if let Some(value) = bearer(request) {
                path(request, |old| format!("{old}?access_token={value}"));
            }
        })
        .in_workloads(),
        sends("bearer-in-user-agent", |request| {
            if let Some(value) = bearer(request) {
                let value = HeaderValue::from_str(&format!("sdk {value}")).expect("a header");
                request.headers_mut().insert("user-agent", value);
            }
        }),
        sends("no-bearer", |request| {
            request.headers_mut().remove(AUTHORIZATION);
        }),
        sends("secret-in-body", |request| {
            if let Some(secret) = bearer(request) {
                body(request, |members| {
                    members.insert("client_secret".to_owned(), secret.into());
                });
            }
        }),
        sends("pkce-with-empty-secret", |request| {
            let is_public = bearer(request).is_none();
            body(request, |members| {
                if is_public {
                    members.insert("client_secret".to_owned(), "".into());
                }
            });
        }),
        sends("form-not-json", |request| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            body(request, |members| {
                for (name, value) in &*members {
                    form.append_pair(name, value.as_str().unwrap_or_default());
                }
            });
            let type_of_form = HeaderValue::from_static("application/x-www-form-urlencoded");
            if request.method() == Method::POST {
                request.headers_mut().insert(CONTENT_TYPE, type_of_form);
                *request.body_mut() = Body::from(form.finish().into_bytes());
            }
        }),
        sends("put-not-post", |request| {
            if request.method() == Method::POST {
                *request.method_mut() = Method::PUT;
            }
        }),
        sends("post-not-get", |request| {
            if request.method() == Method::GET {
                *request.method_mut() = Method::POST;
            }
        })
        .in_workloads(),
        sends("base-with-slash", |request| {
            path(request, |old| old.replacen("/api/", "//api/", 1));
        }),
        sends("users-at-v3", |request| {
            path(request, |old| old.replace("/v1/users/", "/v3/users/"));
        })
        .only(&["api.call"]),
        sends("old-token-path", |request| {
            path(request, |old| {
                old.replace("/oauth2/token", "/oauth/access_token")
            });
        }),
        sends("device-code-path-with-slash", |request| {
            path(request, |old| old.replace("/device/code", "/device/code/"));
        }),
        sends("redirect-uri-normalised", |request| {
            body(request, |members| {
                if let Some(uri) = members.get_mut("redirect_uri") {
                    let decoded = uri.as_str().unwrap_or_default().replace("%20", "+");
                    *uri = decoded.replace("elsewhere", "cb").into();
                }
            });
        }),
        sends("device-grant-type-short", |request| {
            body(request, |members| {
                if let Some(Value::String(grant)) = members.get_mut("grant_type") {
                    *grant = grant.rsplit(':').next().unwrap_or_default().to_owned();
                }
            });
        }),
        sends("client-id-of-the-sdk", |request| {
            body(request, |members| {
                if let Some(id) = members.get_mut("client_id") {
                    *id = "sdk.app.coze".into();
                }
            });
        }),
        sends("duration-in-milliseconds", |request| {
            body(request, |members| {
                if let Some(seconds) = members.get("duration_seconds").and_then(Value::as_u64) {
                    members.insert("duration_seconds".to_owned(), (seconds * 1000).into());
                }
            });
        }),
        sends("scope-without-bots", |request| {
            body(request, |members| {
                if let Some(Value::Object(scope)) = members.get_mut("scope") {
                    scope.remove("attribute_constraint");
                }
            });
        }),
        // As the web sample of @coze/api.
        sends("refresh-without-secret", |request| {
            if member(request, "refresh_token").is_some() {
                request.headers_mut().remove(AUTHORIZATION);
            }
        })
        .only(REFRESH),
    ]);
    for (name, ops) in [("refresh_token", REFRESH), ("device_code", POLL)] {
        let as_another = sends(format!("{name}-as-another-client"), move |request| {
            if member(request, name).is_some() {
                body(request, |members| {
                    members.insert("client_id".to_owned(), "another.app.coze".into());
                });
            }
        });
        all.push(as_another.only(ops));
    }
    all.extend([
        sends("json-called-text", |request| {
            if request.method() == Method::POST {
                let text = HeaderValue::from_static("text/plain");
                request.headers_mut().insert(CONTENT_TYPE, text);
            }
        })
        .in_workloads(),
        // What its caller gives, as it is, in a request that is glued together.
        sends("bearer-breaks-the-line", |request| {
            if bearer(request).is_some_and(|token| token.contains("injected")) {
                let one = HeaderValue::from_static("1");
                request.headers_mut().insert("x-injected", one);
            }
        })
        .and(Way::Asks(Box::new(|_, args| {
            for name in ["token", "client_secret"] {
                if let Some(Value::String(secret)) = args.get_mut(name) {
                    *secret = secret.replace(['\r', '\n', ':', ' '], "");
                }
            }
        }))),
    ]);
    let cut = |_: &str, args: &mut Map<String, Value>| {
        for name in ["token", "client_secret"] {
            if let Some(Value::String(secret)) = args.get_mut(name) {
                *secret = secret.split('\r').next().unwrap_or_default().to_owned();
            }
        }
    };
    all.push(Mutant::new(
        "secret-cut-at-the-line-break",
        Way::Asks(Box::new(cut)),
    ));
    for (name, place, id, becomes) in [
        (
            "account-leaves-its-place",
            "account_id",
            "../../v1/users",
            "v1/users",
        ),
        ("account-empty", "account_id", "", "account/"),
        ("enterprise-empty", "enterprise_id", "", "enterprise_id/"),
    ] {
        let in_path = match place {
            "account_id" => "account/0000",
            _ => "enterprise_id/0000",
        };
        let mutant = sends(name, move |request| {
            path(request, |old| old.replace(in_path, becomes));
        });
        let mutant = mutant.and(Way::Asks(Box::new(move |_, args| {
            if args.get(place).is_some_and(|asked| asked == id) {
                args.insert(place.to_owned(), "0000".into());
            }
        })));
        all.push(mutant.only(&["jwt.token"]));
    }
    all
}
