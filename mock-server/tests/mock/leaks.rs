//! Secrets that are seen where they do not belong.

use bytes::Bytes;
use coze_auth_mock::{Consent, Leak, fingerprint};
use http::Request;
use serde_json::{Value, json};

use crate::support::*;

const VERIFIER: &str = "a-code.verifier~of_forty-three-characters-and-more";

/// One secret of each kind that `m` has.
struct Secrets {
    access: String,
    refresh: String,
    code: String,
    device_code: String,
    assertion: String,
}

impl Secrets {
    fn of(m: &Mock) -> Self {
        let (access, refresh) = m.web_tokens();
        let challenge = s256(VERIFIER);
        let code = m.code(&[
            ("client_id", PKCE),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        Self {
            access,
            refresh,
            code,
            device_code: m.device().0,
            assertion: assertion(NOW, |_, _| {}),
        }
    }

    fn all(&self) -> [(&'static str, &str); 9] {
        [
            ("access_token", &self.access),
            ("refresh_token", &self.refresh),
            ("code", &self.code),
            ("device_code", &self.device_code),
            ("assertion", &self.assertion),
            ("code_verifier", VERIFIER),
            ("client_secret", SECRET),
            ("pat", "pat_mock_alice"),
            ("sat", "sat_mock_ci"),
        ]
    }
}

/// The leaks of the newest request: kind, place, name.
fn newest(m: &Mock) -> Vec<(&'static str, &'static str, String)> {
    let entry = m.mock.requests().pop().expect("an entry");
    let leaks = entry.leaks.into_iter();
    leaks
        .map(|leak| {
            assert_eq!(leak.logid, entry.outcome.logid);
            (leak.kind, leak.place, leak.name.unwrap_or_default())
        })
        .collect()
}

fn header(m: &Mock, path: &str, name: &str, value: &str) {
    let request = Request::get(path).header(name, value);
    m.send(request.body(Bytes::new()).expect("a request"));
}

#[test]
fn every_secret_is_seen_in_every_wrong_place() {
    let m = Mock::with(|builder| builder.consent(Consent::Approve));
    let secrets = Secrets::of(&m);
    assert_eq!(m.mock.leaks(), [], "so far all was in its place");
    for (kind, secret) in secrets.all() {
        let is =
            |place, name: &str| assert_eq!(newest(&m), [(kind, place, name.to_owned())], "{kind}");
        m.get(&format!("/v1/{secret}/x"), None);
        is("path", "");
        let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        m.get(&format!("/v1/{encoded}"), None);
        is("path", "");
        m.get(&format!("/v1/users/me?access_token={secret}"), None);
        is("query", "access_token");
        m.get(&format!("/v1/x?a=1&next=https://a.example/{secret}/"), None);
        is("query", "next");
        m.get(target(&authorize_url(&[("state", secret)])), None);
        is("query", "state");
        header(&m, "/v1/users/me", "X-Api-Key", secret);
        is("header", "x-api-key");
        header(
            &m,
            "/v1/users/me",
            "Cookie",
            &format!("a=b; session={secret}"),
        );
        is("header", "cookie");
        header(
            &m,
            "/v1/x",
            "Referer",
            &format!("http://localhost:1/callback?code={encoded}"),
        );
        is("header", "referer");
        let mut body = exchange(WEB, "nobody");
        body["redirect_uri"] = json!(format!("http://localhost:1/?x={secret}"));
        m.post(TOKEN, Some("x"), &body);
        is("body", "redirect_uri");
        m.post(
            TOKEN,
            None,
            &json!({ "grant_type": "x", "scope": { "a": [{ "b": secret }] } }),
        );
        is("body", "");
        // The device endpoint is for none of them.
        m.post(
            DEVICE_CODE,
            None,
            &json!({ "client_id": DEVICE, kind: secret }),
        );
        is("body", kind);
        m.post(DEVICE_CODE, Some(secret), &json!({ "client_id": DEVICE }));
        is("header", "authorization");
        let form = Request::post("/v1/users/me").body(Bytes::from(format!("a=1&token={secret}")));
        m.send(form.expect("a request"));
        is("body", "token");
    }
}

#[test]
fn a_secret_in_its_place_is_not_a_leak() {
    let m = Mock::new();
    let secrets = Secrets::of(&m);
    m.exchange_pkce(&secrets.code, VERIFIER);
    m.exchange_pkce(&secrets.code, VERIFIER);
    m.refresh_web(&secrets.refresh);
    m.refresh_web(&secrets.refresh);
    m.poll(&secrets.device_code);
    for token in [&secrets.access, "pat_mock_alice", "sat_mock_ci"] {
        m.me(token);
    }
    m.post(
        TOKEN,
        Some(&secrets.assertion),
        &json!({ "grant_type": JWT_GRANT }),
    );
    // RFC 6749 §2.3.1 and RFC 7521 §4.1: Coze reads neither, but that is what they are for.
    let mut body = refresh(WEB, &secrets.refresh);
    body["client_secret"] = json!(SECRET);
    m.post(TOKEN, None, &body);
    let body = json!({ "grant_type": JWT_GRANT, "assertion": secrets.assertion });
    m.post(TOKEN, None, &body);
    // A redirect that comes back to this server.
    m.get(&format!("/callback?code={}&state=x", secrets.code), None);
    // A plain challenge is the verifier.
    let plain = [("client_id", PKCE), ("code_challenge", VERIFIER)];
    m.get(target(&authorize_url(&plain)), None);
    // What is no secret, whatever it looks like.
    let other = format!("czu_mock_{}", "x".repeat(60));
    m.get(
        &format!("/v1/{other}?a=pat_mock_bob&b={}", s256(VERIFIER)),
        None,
    );
    let elsewhere = assertion(NOW, |header, _| header["kid"] = json!("of another server"));
    header(&m, "/v1/users/me", "Cookie", &elsewhere);
    assert_eq!(m.mock.leaks(), []);
}

/// Each has a place, and in the place of another it is seen.
#[test]
fn secrets_that_are_mixed_up_are_seen() {
    let m = Mock::new();
    let secrets = Secrets::of(&m);
    m.me(&secrets.refresh);
    assert_eq!(
        newest(&m),
        [("refresh_token", "header", "authorization".to_owned())]
    );
    m.me(SECRET);
    assert_eq!(
        newest(&m),
        [("client_secret", "header", "authorization".to_owned())]
    );
    m.post(
        TOKEN,
        Some("pat_mock_alice"),
        &refresh(WEB, &secrets.refresh),
    );
    assert_eq!(newest(&m), [("pat", "header", "authorization".to_owned())]);
    m.refresh_web(&secrets.access);
    assert_eq!(
        newest(&m),
        [("access_token", "body", "refresh_token".to_owned())]
    );
    m.poll(&secrets.refresh);
    assert_eq!(
        newest(&m),
        [("refresh_token", "body", "device_code".to_owned())]
    );
    m.exchange_web(&secrets.device_code);
    assert_eq!(newest(&m), [("device_code", "body", "code".to_owned())]);
    m.get(&format!("/v1/users/me?code={}", secrets.code), None);
    assert_eq!(
        newest(&m),
        [("code", "query", "code".to_owned())],
        "no redirect"
    );
    m.post(TOKEN, None, &json!({ &secrets.access: 1 }));
    assert_eq!(newest(&m), [("access_token", "body", String::new())]);
}

#[test]
fn leaks_are_listed_longer_than_their_requests() {
    let m = Mock::with(|builder| builder.journal_capacity(1));
    let (access, _) = m.web_tokens();
    let leaked = m.get(&format!("/v1/users/me?token={access}"), None);
    m.me(&access);
    let listed = m.get("/_mock/v1/leaks", None);
    let expected = json!({ "total": 1, "leaks": [{
        "kind": "access_token",
        "place": "query",
        "name": "token",
        "fingerprint": fingerprint(&access),
        "logid": leaked.header("x-tt-logid"),
    }] });
    assert_eq!(listed.json, expected);
    assert!(
        m.get("/_mock/v1/metrics", None)
            .text
            .contains("\ncoze_auth_mock_leaks_total 1\n")
    );
    m.mock.reset();
    assert_eq!(m.mock.leaks(), []);
    for _ in 0..1_010 {
        m.me(SECRET);
    }
    assert_eq!(m.mock.leaks().len(), 1_000);
    assert_eq!(m.get("/_mock/v1/leaks", None).json["total"], 1_010);
}

#[test]
fn a_short_secret_gets_no_fingerprint() {
    let m = Mock::new();
    for secret in [SECRET, "pat_mock_alice", "sat_mock_ci"] {
        m.get(&format!("/v1/{secret}"), None);
        assert!(m.mock.leaks().iter().all(|leak| leak.fingerprint.is_none()));
    }
}

#[test]
fn a_log_can_be_searched() {
    let m = Mock::new();
    let secrets = Secrets::of(&m);
    let log = format!(
        "INFO got {}.\nDEBUG url=http://x/cb?code={}&state=1 secret=\"{SECRET}\" token=czu_mock_other",
        secrets.access, secrets.code
    );
    let kinds = |found: &[Leak]| found.iter().map(|leak| leak.kind).collect::<Vec<_>>();
    assert_eq!(
        kinds(&m.mock.leaks_in(&log)),
        ["access_token", "code", "client_secret"]
    );
    let reply = m.control("/leaks", &json!({ "text": log }));
    assert_eq!(reply.json["total"], 3);
    assert_eq!(reply.json["leaks"][1]["place"], "text");
    assert_eq!(
        reply.json["leaks"][1]["fingerprint"],
        fingerprint(&secrets.code)
    );
    assert_eq!(m.control("/leaks", &json!({})).status, 400);
    assert_eq!(m.mock.leaks(), [], "it was asked for and not sent");
}

/// One request must not fill the journal.
#[test]
fn so_many_leaks_of_one_request_are_kept() {
    let m = Mock::new();
    let query: String = (0..100).map(|n| format!("a{n}={SECRET}&")).collect();
    m.get(&format!("/v1/x?{query}"), None);
    assert_eq!(newest(&m).len(), 16);
    let entry: Value = m.get("/_mock/v1/requests", None).json["requests"][0].clone();
    assert_eq!(entry["leaks"][15]["name"], "a15");
}
