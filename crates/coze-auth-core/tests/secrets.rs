//! No secret in anything that prints.

mod common;

use common::*;
use coze_auth_core::authorize::{Callback, PendingAuthorization};
use coze_auth_core::config::OAuthConfig;
use coze_auth_core::secret::{AuthorizationCode, CodeVerifier, DeviceCode, State};
use coze_auth_core::{
    AccessToken, ClientSecret, Entropy, Error, Flow, Now, RefreshToken, Request, TokenGrant,
};

/// Long enough for a code verifier.
const SENTINEL: &str = "SENTINEL-0123456789-0123456789-0123456789-0123";

fn hides(what: &str, shown: String) {
    assert!(
        !shown.contains("SENTINEL"),
        "{what} shows its secret: {shown}"
    );
}

#[test]
fn secrets_and_what_carries_them() {
    hides("AccessToken", format!("{:?}", AccessToken::new(SENTINEL)));
    hides("RefreshToken", format!("{:?}", RefreshToken::new(SENTINEL)));
    hides("ClientSecret", format!("{:?}", ClientSecret::new(SENTINEL)));
    hides(
        "AuthorizationCode",
        format!("{:?}", AuthorizationCode::new(SENTINEL)),
    );
    hides("CodeVerifier", format!("{:?}", CodeVerifier::new(SENTINEL)));
    hides("DeviceCode", format!("{:?}", DeviceCode::new(SENTINEL)));
    hides("State", format!("{:?}", State::new(SENTINEL)));
    hides(
        "Callback",
        format!(
            "{:?}",
            Callback::parse(&format!("code={SENTINEL}&state={SENTINEL}"))
        ),
    );
    assert_eq!(
        format!("{:?}", Entropy::from_bytes([0x53; 32])),
        "Entropy(***)"
    );
    let pending = format!(
        r#"{{"state":"{SENTINEL}","code_verifier":"{SENTINEL}","redirect_uri":"https://a/","client_id":"id","api_base":"https://api.coze.cn"}}"#
    );
    let pending = PendingAuthorization::from_secret_json(&pending).unwrap();
    hides(
        "PendingAuthorization",
        format!("{pending:?} {:?}", pending.to_secret_json()),
    );
    let grant = format!(
        r#"{{"access_token":"{SENTINEL}","refresh_token":"{SENTINEL}","issued_at":1,"expires_at":2}}"#
    );
    let grant = TokenGrant::from_secret_json(&grant).unwrap();
    hides(
        "TokenGrant",
        format!("{grant:?} {:?}", grant.to_secret_json()),
    );
}

#[test]
fn requests_flows_and_apps() {
    let app = coze_auth_core::web::WebApp::new(base(), "id", ClientSecret::new(SENTINEL).unwrap())
        .unwrap();
    let mut call = app.refresh(&RefreshToken::new(SENTINEL).unwrap());
    let request = request_of(&mut call, at(0));
    hides("WebApp", format!("{app:?}"));
    hides("Call", format!("{call:?}"));
    hides("Request", format!("{request:?}"));
    hides("Step", format!("{:?}", call.step(at(0))));
    hides("Response", format!("{:?}", reply(200, SENTINEL)));
    let text = format!(
        r#"{{"client_type":"web","client_id":"id","client_secret":"{SENTINEL}","coze_api_base":"https://api.coze.cn"}}"#
    );
    hides(
        "OAuthConfig",
        format!("{:?}", OAuthConfig::from_json(&text)),
    );
    let key = text
        .replace(r#""web""#, r#""jwt""#)
        .replace("client_secret", "private_key");
    let key = key.replace(r#""client_id""#, r#""public_key_id":"kid","client_id""#);
    hides(
        "OAuthConfig",
        format!("{:?}", OAuthConfig::from_json(&key).unwrap()),
    );
}

/// A server that repeats what it was sent does not get it into an error.
#[test]
fn errors_mask_what_was_sent() {
    let app = coze_auth_core::web::WebApp::new(base(), "id", ClientSecret::new(SENTINEL).unwrap())
        .unwrap();
    let token = RefreshToken::new(format!("{SENTINEL}-refresh")).unwrap();
    let echo = format!("bad secret {SENTINEL} or token {SENTINEL}-refresh");
    for body in [
        format!(r#"{{"error_code":"{echo}","error_message":"{echo}"}}"#),
        format!(r#"{{"code":1,"msg":"{echo}","detail":{{"logid":"{SENTINEL}"}}}}"#),
        format!(r#"{{"access_token":"{SENTINEL}"}}"#),
        format!("<html>{SENTINEL}"),
    ] {
        let response = reply_with(500, &[("x-tt-logid", &echo)], body);
        let error = error_of(app.refresh(&token), response);
        hides("Error", format!("{error} {error:?} {:?}", error.log_id()));
    }
    let error = error_of(
        app.refresh(&token),
        reply(400, format!(r#"{{"error":"x","msg":"{echo}"}}"#)),
    );
    let Error::Refused(refused) = error else {
        panic!("{error:?}")
    };
    assert_eq!(refused.message(), "bad secret *** or token ***");
}

/// Every secret of every kind of request, as it was sent and as it stands in a URL.
#[test]
fn errors_mask_every_kind_of_secret() {
    fn masked<F: Flow<Output: std::fmt::Debug>>(
        mut flow: F,
        now: Now,
        secret: impl Fn(&Request) -> String,
    ) {
        let secret = secret(&request_of(&mut flow, now));
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let body =
            serde_json::json!({ "error": "x", "error_message": format!("<{secret}> <{encoded}>") });
        flow.receive(Ok(reply(400, body.to_string())), now);
        let error = result_of(&mut flow, now).expect_err("a refusal");
        let Error::Refused(refused) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(refused.message(), "<***> <***>", "for {secret}");
    }
    let member = |name: &'static str| {
        move |request: &Request| {
            let body: serde_json::Value =
                serde_json::from_slice(request.body().as_bytes()).unwrap();
            body[name].as_str().unwrap().to_owned()
        }
    };
    let (url, pending) = pkce().authorize(&redirect(), entropy()).unwrap();
    let exchange = || {
        pkce()
            .exchange(pending.clone(), &callback(&url, "code%2F1"))
            .unwrap()
    };
    masked(exchange(), at(0), member("code_verifier"));
    masked(exchange(), at(0), member("code"));
    masked(
        web().refresh(&RefreshToken::new("refresh/1 +").unwrap()),
        at(0),
        member("refresh_token"),
    );
    masked(
        device().poll(&started(300, Some(5))),
        at(5),
        member("device_code"),
    );
    masked(
        web().refresh(&RefreshToken::new("r-1").unwrap()),
        at(0),
        |request| bearer(request).unwrap().to_owned(),
    );
    let issuer = coze_auth_core::jwt::JwtIssuer::new(base(), "1", "kid").unwrap();
    let assertion = || {
        issuer
            .assertion(&coze_auth_core::jwt::JwtGrant::new(), entropy(), at(0))
            .signed(&[7; 64], at(0))
            .unwrap()
    };
    for part in 0..3 {
        masked(assertion(), at(0), move |request| {
            bearer(request)
                .unwrap()
                .split('.')
                .nth(part)
                .unwrap()
                .to_owned()
        });
    }
}

#[test]
fn config_errors_do_not_repeat_the_value() {
    let with_space = format!("{SENTINEL} ");
    let error = AccessToken::new(with_space.clone()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("access token: has a space at byte 46"),
        "{error}"
    );
    hides("ConfigError", format!("{error} {error:?}"));
    hides(
        "ConfigError",
        format!("{:?}", ClientSecret::new(with_space).unwrap_err()),
    );
    hides(
        "ConfigError",
        format!("{:?}", CodeVerifier::new("SENTINEL").unwrap_err()),
    );
    hides(
        "ConfigError",
        format!(
            "{:?}",
            OAuthConfig::from_json(&format!(r#"{{"client_id":{SENTINEL}}}"#)).unwrap_err()
        ),
    );
}

/// What a person can wait for on a server must be movable between threads.
#[test]
fn flows_are_send_and_sync() {
    fn check<T: Send + Sync>(_: &T) {}
    check(&device().start());
    check(&device().poll(&started(300, None)));
    check(&web());
}
