//! No secret leaves the mock through its journal, explanations, control plane, pages or log.

use bytes::Bytes;
use coze_auth_mock::{AppKind, At, CozeAuthMock, Fault, On};
use http::Request;
use serde_json::json;

use crate::support::{
    DEVICE, DEVICE_CODE, DEVICE_GRANT, JWT_GRANT, Mock, PKCE, SECRET, TOKEN, WEB, assertion,
    authorize_url, exchange, refresh, target,
};

const SENTINEL: &str = "S3NT1NEL-tell-no-one";

/// Everything that the mock tells about `run`: journal, explanations, exports, what is seen.
fn output(run: impl FnOnce(&Mock)) -> String {
    let m = Mock::new();
    run(&m);
    let mut output = crate::logs::of_this_thread();
    assert!(output.contains("logid="), "the log was caught: {output}");
    for control in [
        "requests",
        "requests/next?timeout_ms=0",
        "requests.har",
        "requests.jsonl",
        &format!("events?limit={}", m.mock.requests().len()),
        "tokens",
        "leaks",
        "metrics",
        "fidelity",
        "magic",
    ] {
        let reply = m.get(&format!("/_mock/v1/{control}"), None);
        assert_eq!(reply.status, 200, "{control}");
        output.push_str(&reply.text);
        // A URL may have hidden it from the eye alone.
        let plain = percent_encoding::percent_decode_str(&reply.text);
        output.push_str(&plain.decode_utf8_lossy());
    }
    for expect in [
        json!({ "client_id": "nobody", "status": 599 }),
        json!({ "endpoint": "token", "count": { "eq": 999 } }),
        json!({ "order": ["token", "token", "authorize", { "client_id": "nobody" }] }),
        json!({ "gaps_ms": { "client_id": "nobody", "min": 1 } }),
    ] {
        let reply = m.control("/verify", &json!({ "expect": [expect] }));
        assert_eq!(reply.status, 200);
        output.push_str(&reply.text);
    }
    for row in m.get("/_mock/v1/tokens", None).json["tokens"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let fingerprint = row["fingerprint"].as_str().expect("a fingerprint");
        output.push_str(
            &m.get(&format!("/_mock/v1/tokens/{fingerprint}/lineage"), None)
                .text,
        );
    }
    for entry in m.mock.requests() {
        output.push_str(&format!("{entry:?}"));
        output.push_str(&format!("{:?}", m.mock.explain(&entry.outcome.logid)));
        let logid = &entry.outcome.logid;
        output.push_str(&m.get(&format!("/_mock/v1/explain/{logid}"), None).text);
    }
    output
}

fn assert_kept(output: &str, secret: &str) {
    if let Some(at) = output.find(secret) {
        let from = output[..at]
            .char_indices()
            .rev()
            .nth(200)
            .map_or(0, |(at, _)| at);
        panic!("{secret} got out: …{}", &output[from..at + secret.len()]);
    }
}

#[test]
fn a_sentinel_in_every_secret_place_stays_in() {
    let output = output(|m| {
        let bearer = Some(SENTINEL);
        m.me(SENTINEL);
        m.post(TOKEN, bearer, &exchange(WEB, SENTINEL));
        m.post(TOKEN, Some(SECRET), &exchange(WEB, SENTINEL));
        m.post(TOKEN, Some(SECRET), &refresh(WEB, SENTINEL));
        let mut body = exchange(PKCE, SENTINEL);
        body["code_verifier"] = json!(SENTINEL);
        m.post(TOKEN, None, &body);
        m.post(
            TOKEN,
            bearer,
            &json!({ "grant_type": JWT_GRANT, "assertion": SENTINEL }),
        );
        let poll = json!({
            "grant_type": DEVICE_GRANT, "client_id": DEVICE, "device_code": SENTINEL,
            "client_secret": SENTINEL, "unknown": { "deep": [SENTINEL] },
        });
        m.post(TOKEN, None, &poll);
        // As the name of a member.
        m.post(
            DEVICE_CODE,
            None,
            &json!({ SENTINEL: 1, "client_id": DEVICE }),
        );
        m.jwt(|header, claims| {
            header["x5c"] = json!(SENTINEL);
            claims["password"] = json!(SENTINEL);
        });
        for name in ["state", "code_challenge", "code", "token", SENTINEL] {
            m.get(target(&authorize_url(&[(name, SENTINEL)])), None);
        }
        let callback = format!("http://localhost:1/?session={SENTINEL}");
        m.get(target(&authorize_url(&[("redirect_uri", &callback)])), None);
        let evil = format!("http://evil.example/?session={SENTINEL}");
        m.get(target(&authorize_url(&[("redirect_uri", &evil)])), None);
        for (name, value) in [
            ("Authorization", SENTINEL.to_owned()),
            ("Authorization", format!("Basic {SENTINEL}")),
            ("Cookie", format!("session={SENTINEL}")),
            ("X-Api-Key", SENTINEL.to_owned()),
        ] {
            let request = Request::get("/v1/users/me").header(name, value);
            m.send(request.body(Bytes::new()).expect("a request"));
        }
        let not_json = Request::post(TOKEN).header("Content-Type", "application/json");
        m.send(not_json.body(Bytes::from(SENTINEL)).expect("a request"));
        let form = Request::post(TOKEN).body(Bytes::from(format!("client_secret={SENTINEL}")));
        m.send(form.expect("a request"));
        m.get(&format!("/oauth/consent?authorize_key={SENTINEL}"), None);
        m.get(
            &format!("/oauth/device-activation?user_code={SENTINEL}"),
            None,
        );
        m.control("/tokens/revoke", &json!({ "token": SENTINEL }));
    });
    assert_kept(&output, SENTINEL);
}

#[test]
fn what_the_mock_issues_is_masked() {
    let mut secrets = vec![SECRET.to_owned(), "pat_mock_alice".to_owned()];
    let output = output(|m| {
        let code = m.code(&[]);
        let tokens = m.exchange_web(&code);
        m.exchange_web(&code);
        let refresh_token = tokens.member("refresh_token");
        m.refresh_web(&refresh_token);
        m.refresh_web(&refresh_token);
        m.me(&tokens.member("access_token"));
        m.me(&refresh_token);
        m.me("pat_mock_alice");
        let (device_code, user_code) = m.device();
        m.poll(&device_code);
        m.decide(&user_code, "deny");
        m.poll(&device_code);
        let jwt = assertion(crate::support::NOW, |_, _| {});
        m.post(TOKEN, Some(&jwt), &json!({ "grant_type": JWT_GRANT }));
        m.post(TOKEN, Some(&jwt), &json!({ "grant_type": JWT_GRANT }));
        secrets.extend([
            code,
            refresh_token,
            tokens.member("access_token"),
            device_code,
            jwt,
        ]);
    });
    for secret in &secrets {
        assert_kept(&output, secret);
    }
    assert!(
        output.contains("code_m…(50 chars)"),
        "masked, with its kind"
    );
    assert!(output.contains("czu_mo…(69 chars)"));
}

/// Who mixes parameters up must not find the secret in the log either.
#[test]
fn credentials_in_the_wrong_place_are_masked() {
    let token = format!("czu_mock_{}", "x".repeat(60));
    let output = output(|m| {
        for wrong in [token.as_str(), SECRET, "pat_mock_alice"] {
            m.get(target(&authorize_url(&[("client_id", wrong)])), None);
            m.get(target(&authorize_url(&[("response_type", wrong)])), None);
            m.get(&format!("/v1/{wrong}"), None);
            m.post(TOKEN, None, &json!({ "grant_type": wrong }));
            m.post(DEVICE_CODE, None, &json!({ "client_id": wrong }));
            m.jwt(|header, claims| {
                header["kid"] = json!(wrong);
                claims["aud"] = json!(wrong);
            });
            m.jwt(|_, claims| claims["aud"] = json!(wrong));
            m.jwt(|_, claims| claims["iss"] = json!(wrong));
            let agent = Request::get("/v1/users/me").header("User-Agent", wrong);
            m.send(agent.body(Bytes::new()).expect("a request"));
        }
    });
    for secret in [token.as_str(), SECRET, "pat_mock_alice"] {
        assert_kept(&output, secret);
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Whoever can read the journal can decode it.
#[test]
fn percent_encoding_hides_no_credential_from_the_mask() {
    let long = "y".repeat(48);
    for secret in [
        "mock_refresh_token_of_alice",
        "pat_mock_alice",
        SECRET,
        &long,
    ] {
        let whole = percent_encoded(secret);
        let twice = whole.replace('%', "%25");
        let often = twice.replace('%', "%252525");
        let first = format!("{}{}", percent_encoded(&secret[..1]), &secret[1..]);
        let kept = [secret, &whole, &twice, &often, &first];
        let output = output(|m| {
            for wrong in kept {
                m.get(&format!("/x/{wrong}"), None);
                let query = "/api/permission/oauth2/authorize?response_type=code";
                m.get(&format!("{query}&client_id={wrong}"), None);
                let uri = format!("{query}&client_id={WEB}&redirect_uri=http://a.example/{wrong}");
                m.get(&uri, None);
                m.post(TOKEN, None, &json!({ "grant_type": wrong }));
                let agent = Request::get("/v1/users/me").header("User-Agent", wrong);
                m.send(agent.body(Bytes::new()).expect("a request"));
            }
        });
        for secret in kept {
            assert_kept(&output, secret);
        }
    }
}

/// A query that was encoded once too often is a query all the same.
#[test]
fn the_query_of_a_redirect_uri_is_hidden_however_it_is_encoded() {
    for mark in ["?", "#", "%3F", "%23", "%253f"] {
        let uri = format!("http://evil.example/{mark}session={SENTINEL}");
        let output = output(|m| {
            m.get(target(&authorize_url(&[("redirect_uri", &uri)])), None);
        });
        assert_kept(&output, SENTINEL);
        assert!(output.contains("http://evil.example/?***"), "{output}");
    }
}

/// Code verifiers and the secrets of other servers begin in no way that is known here.
#[test]
fn long_words_are_masked_in_open_places() {
    let verifier = format!("{}~-._{}", "v".repeat(18), "w".repeat(18));
    for secret in ["z".repeat(48), verifier] {
        let output = output(|m| {
            let secret = secret.as_str();
            for name in [
                "client_id",
                "response_type",
                "redirect_uri",
                "code_challenge_method",
            ] {
                m.get(target(&authorize_url(&[(name, secret)])), None);
            }
            let callback = format!("http://a.example/{secret}/");
            m.get(target(&authorize_url(&[("redirect_uri", &callback)])), None);
            for name in [
                "grant_type",
                "client_id",
                "redirect_uri",
                "account_id",
                "scope",
            ] {
                let mut body = exchange(WEB, "code");
                body[name] = json!(secret);
                m.post(TOKEN, Some(SECRET), &body);
            }
            let scope = json!({ "grant_type": JWT_GRANT, "scope": { secret: [secret] } });
            let now = crate::support::NOW;
            m.post(TOKEN, Some(&assertion(now, |_, _| {})), &scope);
            let path = format!("/api/permission/oauth2/workspace_id/{secret}/device/code");
            m.post(&path, None, &json!({ "client_id": DEVICE }));
            for name in ["kid", "iss", "aud", "jti", "session_name"] {
                m.jwt(|header, claims| {
                    header["kid"] = json!(if name == "kid" {
                        secret
                    } else {
                        "mock-jwt-key-1"
                    });
                    claims[name] = json!(secret);
                });
            }
            for name in ["User-Agent", "X-Coze-Client-User-Agent", "Accept"] {
                let request = Request::get("/v1/users/me").header(name, format!("sdk/1 {secret}"));
                m.send(request.body(Bytes::new()).expect("a request"));
            }
        });
        assert_kept(&output, &secret);
        assert!(output.contains("sdk/1 ***"), "the rest is shown");
        assert!(
            output.contains(WEB) && output.contains(DEVICE),
            "client ids are"
        );
    }
}

/// The two spellings would be one if the journal decoded what it shows.
#[test]
fn a_text_without_secrets_is_shown_unchanged() {
    let m = Mock::new();
    let uri = "http://localhost:8080/a%2Fb";
    let code = m.code(&[("redirect_uri", uri)]);
    let mut body = exchange(WEB, &code);
    body["redirect_uri"] = json!("http://localhost:8080/a/b");
    let reply = m.post(TOKEN, Some(SECRET), &body);
    assert_eq!(reply.rule(), Some("code.redirect_uri"));
    let output = reply.explanation.expect("an explanation");
    assert_eq!(output.expected.as_deref(), Some(uri));
    assert_eq!(output.actual.as_deref(), Some("http://localhost:8080/a/b"));
}

/// Of another server, of few letters, and without the shape of any credential: the place tells that they do not belong there.
#[test]
fn short_secrets_of_others_are_masked_in_every_place() {
    for secret in [
        "hunter2",
        "s3cret",
        "p4ssw0rd",
        "S3NT1NEL-tell-no-one",
        "a1b2c3d4e5f6a7b8",
    ] {
        let encoded = percent_encoded(secret);
        let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, secret);
        let output = output(|m| {
            let authorize = "/api/permission/oauth2/authorize?response_type=code";
            for path in [
                format!("/v1/{secret}/x"),
                format!("/{secret}"),
                format!("/v3/chat/{encoded}"),
                format!("/api/permission/oauth2/account/{secret}/token"),
                format!("/v1/users/me?token={secret}"),
                format!("/v1/users/me?client_secret={encoded}&CLIENT_SECRET={secret}"),
                format!("/v1/users/me?{secret}"),
                format!("/v1/users/me?{secret}="),
                format!("/v1/users/me?a=1&{secret}=2"),
                format!("/v1/workspaces?page_size={secret}"),
                format!(
                    "{authorize}&state={secret}&code_challenge={secret}&code_challenge_method={secret}"
                ),
                format!("{authorize}&response_type={secret}"),
                format!(
                    "/api/permission/oauth2/authorize?response_type={secret}&client_id={WEB}&redirect_uri=http://localhost:1/"
                ),
                format!(
                    "{authorize}&client_id={WEB}&redirect_uri=http://user:{secret}@localhost:1/"
                ),
                format!(
                    "{authorize}&client_id={WEB}&redirect_uri=http://localhost:1/%3Fa={secret}%23{secret}"
                ),
            ] {
                m.get(&path, Some("pat_mock_alice"));
            }
            for (name, value) in [
                ("Authorization", secret.to_owned()),
                ("Authorization", format!("Basic {basic}")),
                ("authorization", format!("bearer {secret}")),
                ("Authorization", format!("Token {secret}")),
                ("X-Api-Key", secret.to_owned()),
                ("Cookie", format!("session={secret}")),
                ("Referer", format!("http://localhost/?token={secret}")),
                ("User-Agent", format!("app/1.0 (token={secret})")),
                ("User-Agent", format!("app Bearer {secret}")),
                ("User-Agent", format!("app {encoded}")),
                (
                    "X-Coze-Client-User-Agent",
                    format!("{{\"access_token\": \"{secret}\"}}"),
                ),
                ("Accept", format!("text/{secret}")),
                (
                    "Content-Type",
                    format!("multipart/form-data; boundary={secret}"),
                ),
                ("Host", format!("user:{secret}@127.0.0.1")),
            ] {
                let request = Request::get("/v1/users/me").header(name, value);
                let _ = m
                    .mock
                    .call_blocking(request.body(Bytes::new()).expect("a request"));
            }
            let named = Request::get("/v1/users/me").header(secret, "1");
            m.send(named.body(Bytes::new()).expect("a request"));
            if !secret.contains('-') {
                let method = http::Method::from_bytes(secret.as_bytes()).expect("a token");
                let request = Request::builder().method(method).uri("/v1/users/me");
                m.send(request.body(Bytes::new()).expect("a request"));
            }
            for body in [
                json!({ "grant_type": secret }),
                json!({ "grant_type": { "a": secret } }),
                json!({ "grant_type": "refresh_token", "client_secret": secret, secret: 1 }),
                json!({ "grant_type": JWT_GRANT, "duration_seconds": secret, "account_id": secret, "enterprise_id": [secret] }),
                json!({ "grant_type": JWT_GRANT, "scope": { "password": secret, "permission_list": [secret, { secret: secret }] } }),
                json!({ "redirect_uri": format!("http://u:{secret}@localhost/?token={secret}") }),
            ] {
                m.post(TOKEN, None, &body);
            }
            m.post(
                "/v3/chat",
                Some("pat_mock_alice"),
                &json!({ "bot_id": secret, "deep": { "x": [secret] } }),
            );
            let twice = format!(
                r#"{{"grant_type":"{secret}","grant_type":"{secret}","{secret}":1,"{secret}":2}}"#
            );
            let form =
                format!("grant_type=refresh_token&refresh_token={secret}&client_secret={secret}");
            for (kind, body) in [
                ("application/json", twice),
                ("application/x-www-form-urlencoded", form),
            ] {
                let request = Request::post(TOKEN).header("Content-Type", kind);
                m.send(request.body(Bytes::from(body)).expect("a request"));
            }
            m.jwt(|header, claims| {
                header["typ"] = json!(secret);
                claims["session_context"] =
                    json!({ "token": secret, "device_info": { secret: secret } });
            });
        });
        assert_kept(&output, secret);
        assert_kept(&output, &encoded);
    }
}

/// What a reader needs stays.
#[test]
fn what_belongs_to_its_place_is_shown() {
    let output = output(|m| {
        m.get(
            target(&authorize_url(&[("response_type", "id_token token")])),
            None,
        );
        m.get("//v1/users/me/?page_num=2", None);
        m.get("/coze/api/permission/oauth2/token", None);
        m.get(
            "/v1/bots/7300000000000000001/publish",
            Some("pat_mock_alice"),
        );
        m.post(TOKEN, None, &json!({ "grant_type": "client_credentials", "client_id": "app_web", "redirect_uri": "http://localhost:1/oauth2callback" }));
    });
    for shown in [
        "id_token token",
        "//v1/users/me/?page_num=2",
        "/coze/api/permission/oauth2/token",
        "/v1/bots/7300000000000000001/publish",
        "client_credentials",
        "app_web",
        "http://localhost:1/oauth2callback",
        "http://localhost:8080/callback",
        "application/json",
    ] {
        assert!(output.contains(shown), "{shown}");
    }
}

/// It is on two lines of the log.
#[test]
fn the_path_of_a_request_that_waits_is_masked_in_the_log() {
    let m = Mock::new();
    let delay = Fault::delay(std::time::Duration::ZERO).at(At::Request);
    let _delay = m.mock.fault(On::endpoint("api"), delay);
    m.get("/v1/bots/hunter2", Some("pat_mock_alice"));
    let log = crate::logs::of_this_thread();
    assert!(log.contains("path=\"/v1/bots/***\" waits=true"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

/// A test that fails prints what it holds.
#[test]
fn no_secret_of_the_configuration_is_in_debug() {
    let toml = format!(
        r#"
        [[app]]
        kind = "web"
        client_id = "w"
        client_secret = "{SENTINEL}"
        [[app]]
        kind = "workload"
        client_id = "55555555555555555555555555555555"
        client_secret = "{SENTINEL}"
        integrations = [{{ name = "integration-a", credential = "{SENTINEL}" }}]
        variables = [{{ key = "PGDATABASE_URL", value = "{SENTINEL}" }}]
        [[token]]
        kind = "pat"
        value = "{SENTINEL}"
        "#
    );
    let builder = || {
        let builder = CozeAuthMock::builder().admin_token(SENTINEL);
        builder.toml(&toml).expect("a configuration")
    };
    let mock = builder().build().expect("a mock");
    let app = mock.app(AppKind::Workload).expect("an app");
    assert_eq!(app.client_secret(), Some(SENTINEL));
    for shown in [
        format!("{:?}", builder()),
        format!("{mock:?}"),
        format!("{app:?}"),
    ] {
        assert!(shown.contains("55555555"), "{shown}");
        assert!(!shown.contains(SENTINEL), "{shown}");
    }
}
