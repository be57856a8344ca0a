//! What the shadow finds in answers that a mock does not give, and what it leaves unjudged.

use std::time::Duration;

use coze_auth_mock::{ClockHandle, Shadow};
use http::Request;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::pair::*;
use crate::support::*;

const NOW: u64 = 1_750_000_000;

/// An answer of an upstream, in full.
fn answer(status: &str, headers: &str, body: &str) -> &'static str {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
    text.leak()
}

const USUAL: &str = "x-tt-logid: 2025\r\ncontent-type: application/json\r\n";

fn ok(body: &Value) -> &'static str {
    answer("200 OK", USUAL, &body.to_string())
}

fn refused(status: &str, code: &str) -> &'static str {
    let body = json!({ "error_code": code, "error_message": "of its own", "error": code });
    answer(status, USUAL, &body.to_string())
}

fn tokens(change: impl FnOnce(&mut Value)) -> &'static str {
    let mut body = json!({
        "access_token": "czu_access",
        "refresh_token": "the second refresh token",
        "expires_in": NOW + 900,
        "token_type": "Bearer",
    });
    change(&mut body);
    ok(&body)
}

fn device(change: impl FnOnce(&mut Value)) -> &'static str {
    let mut body = json!({
        "device_code": "a device code",
        "user_code": "ABC-DEF-GHI",
        "verification_uri": "https://www.coze.cn/oauth/device",
        "expires_in": 300,
        "interval": 5,
    });
    change(&mut body);
    ok(&body)
}

fn without(value: &mut Value, name: &str) {
    value.as_object_mut().expect("an object").remove(name);
}

/// A shadow of an upstream with these answers.
async fn shadow(answers: Vec<&'static str>) -> (Shadow, Recorder, ClockHandle) {
    let upstream = Recorder::start(answers).await;
    let clock = ClockHandle::frozen_at(Duration::from_secs(NOW));
    let builder = Shadow::builder(&upstream.base).clock(clock.clone());
    let shadow = builder.start().await.expect("a shadow");
    (shadow, upstream, clock)
}

fn exchanged(code: &str) -> Request<bytes::Bytes> {
    post(TOKEN, Some("a secret"), &exchange("of.app.coze", code))
}

fn refreshed(token: &str) -> Request<bytes::Bytes> {
    post(TOKEN, Some("a secret"), &refresh("of.app.coze", token))
}

fn started() -> Request<bytes::Bytes> {
    post(
        DEVICE_CODE,
        None,
        &json!({ "client_id": "of.device.app.coze" }),
    )
}

/// What each answer shows that is not as the mock's.
#[tokio::test]
async fn each_part_of_an_answer_is_compared() {
    let html = answer("200 OK", "x-tt-logid: 1\r\n", "<html>");
    let body = tokens(|_| {}).split("\r\n\r\n").nth(1).expect("a body");
    let no_logid = answer("200 OK", "content-type: application/json\r\n", body);
    let as_html = answer(
        "200 OK",
        "x-tt-logid: 1\r\ncontent-type: text/html\r\n",
        body,
    );
    let created = answer("201 Created", USUAL, body);
    for (answer, request, differs) in [
        (tokens(|_| {}), exchanged("c"), &[][..]),
        (
            tokens(|body| body["expires_in"] = json!(NOW + 903)),
            exchanged("c"),
            &[],
        ),
        (
            tokens(|body| body["expires_in"] = json!(NOW + 3600)),
            exchanged("c"),
            &["token.expiry"],
        ),
        (
            tokens(|body| body["expires_in"] = json!(900)),
            exchanged("c"),
            &["answer.token"],
        ),
        (
            tokens(|body| body["expires_in"] = json!("900")),
            exchanged("c"),
            &["answer.token"],
        ),
        (
            tokens(|body| without(body, "token_type")),
            exchanged("c"),
            &["answer.token"],
        ),
        (
            tokens(|body| without(body, "refresh_token")),
            exchanged("c"),
            &["answer.token"],
        ),
        (
            tokens(|body| body["scope"] = json!("all")),
            exchanged("c"),
            &["answer.token"],
        ),
        (html, exchanged("c"), &["answer.token"]),
        (no_logid, exchanged("c"), &["answer.logid"]),
        (as_html, exchanged("c"), &["answer.content_type"]),
        (created, exchanged("c"), &["answer.token"]),
        (tokens(|_| {}), refreshed("the first refresh token"), &[]),
        (
            tokens(|_| {}),
            refreshed("the second refresh token"),
            &["refresh.rotate"],
        ),
        (
            tokens(|body| without(body, "refresh_token")),
            refreshed("r"),
            &["refresh.rotate"],
        ),
        (device(|_| {}), started(), &[]),
        (
            device(|body| body["expires_in"] = json!(1800)),
            started(),
            &["device.expired"],
        ),
        (
            device(|body| body["interval"] = json!(1)),
            started(),
            &["device.interval"],
        ),
        (
            device(|body| body["user_code"] = json!(123_456)),
            started(),
            &["answer.device"],
        ),
    ] {
        let (shadow, ..) = shadow(vec![answer]).await;
        let reply = send(shadow.base_url(), request).await;
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
        assert_eq!(
            shadow.differing(),
            differs,
            "{answer}\n{}",
            shadow.report_text()
        );
        assert_eq!(shadow.report()["exchanges"], 1);
    }
}

#[tokio::test]
async fn the_members_of_a_refusal_are_compared() {
    let poll = |code: &str| {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let body =
            json!({ "grant_type": grant, "client_id": "of.device.app.coze", "device_code": code });
        post(TOKEN, None, &body)
    };
    let bare = answer(
        "428 Precondition Required",
        USUAL,
        r#"{"error":"authorization_pending"}"#,
    );
    for (answer, differs) in [
        (
            refused("428 Precondition Required", "authorization_pending"),
            &[][..],
        ),
        (
            refused("400 Bad Request", "authorization_pending"),
            &["device.pending"],
        ),
        (
            refused("200 OK", "authorization_pending"),
            &["device.pending"],
        ),
        (
            refused("403 Forbidden", "access_denied"),
            &["device.denied"],
        ),
        (bare, &["answer.error"]),
    ] {
        let (shadow, ..) = shadow(vec![device(|_| {}), answer]).await;
        send(shadow.base_url(), started()).await;
        send(shadow.base_url(), poll("a device code")).await;
        assert_eq!(
            shadow.differing(),
            differs,
            "{answer}\n{}",
            shadow.report_text()
        );
    }
}

/// The rules that were not judged, each with its reason.
fn not_judged(shadow: &Shadow) -> Vec<(String, String)> {
    let report = shadow.report();
    let rows = report["rules"].as_array().expect("rows").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    rows.iter()
        .flat_map(|row| {
            let reasons = row["reasons"].as_array().expect("reasons");
            reasons
                .iter()
                .map(|reason| (text(&row["rule"]), text(&reason["reason"])))
        })
        .collect()
}

#[tokio::test]
async fn what_was_not_seen_is_not_judged() {
    let dead = || refused("400 Bad Request", "invalid_grant");
    let token = || tokens(|_| {});
    let me = || get("/v1/users/me", Some("pat_of_nobody"));
    let bad = answer("401 Unauthorized", USUAL, r#"{"code":4100,"msg":"no"}"#);
    let mut expired = tokens(|_| {});
    expired = expired.to_owned().leak();
    for (answers, requests, rule, reason) in [
        // Nobody saw how the token was issued, and the app is one that the shadow does not know.
        (
            vec![dead()],
            vec![refreshed("unseen")],
            "client.known",
            "knows no app",
        ),
        // The app is known by its requests, the token is not.
        (
            vec![expired, dead()],
            vec![exchanged("c"), refreshed("unseen")],
            "refresh.known",
            "did not see how this refresh token was issued",
        ),
        (
            vec![token(), dead()],
            vec![exchanged("c"), exchanged("another")],
            "code.known",
            "did not see how this code was issued",
        ),
        (
            vec![bad],
            vec![me()],
            "token.known",
            "did not see how this access token was issued",
        ),
        (
            vec![token(), refused("401 Unauthorized", "invalid_client")],
            vec![
                exchanged("c"),
                post(
                    TOKEN,
                    None,
                    &refresh("of.app.coze", "the second refresh token"),
                ),
            ],
            "client.kind",
            "only known by its requests",
        ),
        (
            vec![token(), answer("503 Service Unavailable", USUAL, "<html>")],
            vec![exchanged("c"), refreshed("the second refresh token")],
            "answer.granted",
            "trouble",
        ),
        (
            vec![token(), refused("403 Forbidden", "access_deny")],
            vec![exchanged("c"), refreshed("the second refresh token")],
            "client.kind",
            "only known by its requests",
        ),
        // The first refresh got no answer.
        (
            vec![token(), "", dead()],
            vec![
                exchanged("c"),
                refreshed("the second refresh token"),
                refreshed("the second refresh token"),
            ],
            "refresh.rotate",
            "got no answer",
        ),
    ] {
        let (shadow, ..) = shadow(answers).await;
        for request in requests {
            send(shadow.base_url(), request).await;
        }
        let found = not_judged(&shadow);
        let [(found, why)] = &found[..] else {
            panic!("{rule}: {}", shadow.report_text());
        };
        assert!(
            found == rule && why.contains(reason),
            "{rule}: {found}: {why}"
        );
        assert!(shadow.differing().is_empty(), "{}", shadow.report_text());
    }
}

/// What was seen is judged, though the shadow was told nothing of the app.
#[tokio::test]
async fn what_was_seen_is_judged() {
    let dead = || refused("400 Bad Request", "invalid_grant");
    let token = || tokens(|_| {});
    let (second, third) = ("the second refresh token", "a third refresh token");
    let next = || tokens(|body| body["refresh_token"] = json!(third));
    for (answers, requests, differs, agrees) in [
        // Nothing that was seen has spent the token.
        (
            vec![token(), dead()],
            vec![exchanged("c"), refreshed(second)],
            "answer.granted",
            "",
        ),
        // The second use of a code, refused and granted.
        (
            vec![token(), dead()],
            vec![exchanged("c"), exchanged("c")],
            "",
            "code.single_use",
        ),
        (
            vec![token(), token()],
            vec![exchanged("c"), exchanged("c")],
            "code.single_use",
            "",
        ),
        (
            vec![token(), next(), dead()],
            vec![exchanged("c"), refreshed(second), refreshed(second)],
            "",
            "refresh.rotate",
        ),
        (
            vec![token(), next(), next()],
            vec![exchanged("c"), refreshed(second), refreshed(second)],
            "refresh.rotate",
            "",
        ),
        // A refused exchange has spent the code: the mock says that only a success does.
        (
            vec![
                token(),
                refused("401 Unauthorized", "invalid_client"),
                dead(),
            ],
            vec![
                exchanged("c"),
                post(TOKEN, Some("a wrong secret"), &exchange("of.app.coze", "d")),
                exchanged("d"),
            ],
            "",
            "client.secret",
        ),
    ] {
        let (shadow, ..) = shadow(answers).await;
        for request in requests {
            send(shadow.base_url(), request).await;
        }
        let differs: Vec<&str> = [differs].into_iter().filter(|id| !id.is_empty()).collect();
        assert_eq!(shadow.differing(), differs, "{}", shadow.report_text());
        if !agrees.is_empty() {
            let report = shadow.report();
            let rows = report["rules"].as_array().expect("rows");
            let row = rows
                .iter()
                .find(|row| row["rule"] == agrees)
                .expect("a row");
            assert!(row["agrees"].as_u64() > Some(0), "{}", shadow.report_text());
        }
    }
}

/// What the upstream says of an app that the shadow knows from a configuration: a refused exchange leaves the code alone.
#[tokio::test]
async fn a_refused_exchange_that_spends_the_code_is_told() {
    let pair = Pair::with(|upstream| upstream).await;
    let code = pair.code(&[]).await;
    assert_eq!(
        pair.token(Some("wrong"), &exchange(WEB, &code))
            .await
            .status,
        401
    );
    // The upstream spends it behind the shadow's back, which looks the same.
    let straight = post(TOKEN, Some(SECRET), &exchange(WEB, &code));
    assert_eq!(send(pair.upstream.base_url(), straight).await.status, 200);
    assert_eq!(pair.exchange(&code).await.status, 400);
    pair.assert_differs(&["code.single_use"]);
}

/// A lifetime that is shorter than the mock's is told by a refusal where no answer says it.
#[tokio::test]
async fn a_code_that_ends_earlier_is_told() {
    let pair = Pair::with(|upstream| {
        upstream
            .toml("[ttl]\ncode = \"1m\"\n")
            .expect("a configuration")
    })
    .await;
    let code = pair.code(&[]).await;
    pair.pass(70);
    assert_eq!(pair.exchange(&code).await.status, 400);
    pair.assert_differs(&["code.expiry"]);
}

/// Near a limit the clocks of both sides decide.
#[tokio::test]
async fn two_seconds_around_a_limit_are_not_judged() {
    for (seconds, status) in [(299, 200), (301, 400)] {
        // The upstream's limit is a second away from the mock's, on the other side of the request.
        let ttl = if status == 200 { "302s" } else { "299s" };
        let toml = format!("[ttl]\ncode = \"{ttl}\"\n");
        let pair = Pair::with(|upstream| upstream.toml(&toml).expect("a configuration")).await;
        let code = pair.code(&[]).await;
        pair.pass(if status == 200 {
            seconds + 2
        } else {
            seconds - 2
        });
        assert_eq!(pair.exchange(&code).await.status, status);
        pair.assert_differs(&[]);
        assert_eq!(
            pair.row("code.expiry").2,
            1,
            "{}",
            pair.shadow.report_text()
        );
    }
}

/// When in this time a token was made, only the upstream knows; what is further off is told.
#[tokio::test]
async fn a_lifetime_within_the_time_of_a_slow_answer_is_not_judged() {
    for (expires_in, differs) in [(NOW + 908, 0), (NOW + 900, 0), (NOW + 930, 1)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let clock = ClockHandle::frozen_at(Duration::from_secs(NOW));
        let builder = Shadow::builder(&base).clock(clock.clone());
        let shadow = builder.start().await.expect("a shadow");
        let answers = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = request(&mut stream).await.expect("a request");
            clock.advance(Duration::from_secs(8));
            let answer = tokens(|body| body["expires_in"] = expires_in.into());
            stream.write_all(answer.as_bytes()).await.expect("sent");
            stream
        });
        send(shadow.base_url(), refreshed("r")).await;
        answers.await.expect("it answers");
        let report = shadow.report();
        let rows = report["rules"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["rule"] == "token.expiry");
        let row = row.expect("its row");
        assert_eq!(row["differs"], differs, "{expires_in}: {row}");
        let slow = not_judged(&shadow)
            .iter()
            .filter(|(_, why)| why.contains("took"))
            .count();
        assert_eq!(slow, usize::from(expires_in == NOW + 908), "{row}");
    }
}

/// The upstream acts on the first before the second, and its refusal of the second arrives first.
#[tokio::test]
async fn requests_at_once_with_one_token_are_not_judged_by_their_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let clock = ClockHandle::frozen_at(Duration::from_secs(NOW));
    let shadow = Shadow::builder(&base)
        .clock(clock)
        .start()
        .await
        .expect("a shadow");
    let next = async || {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        request(&mut stream).await.expect("a request");
        stream
    };
    let answer_with = async |mut stream: tokio::net::TcpStream, answer: &str| {
        stream.write_all(answer.as_bytes()).await.expect("sent");
        stream
    };
    let seen = async { answer_with(next().await, tokens(|_| {})).await };
    let (_, _open) = tokio::join!(send(shadow.base_url(), exchanged("c")), seen);
    let (second, third) = ("the second refresh token", "a third refresh token");
    let first = async {
        let reply = send(shadow.base_url(), refreshed(second)).await;
        assert_eq!(reply.status, 200);
    };
    let upstream = async {
        let one = next().await;
        let two = async {
            let reply = send(shadow.base_url(), refreshed(second)).await;
            assert_eq!(reply.status, 400);
        };
        let refusal = async {
            let two = next().await;
            answer_with(two, refused("400 Bad Request", "invalid_grant")).await
        };
        let ((), _open) = tokio::join!(two, refusal);
        answer_with(one, tokens(|body| body["refresh_token"] = json!(third))).await
    };
    let ((), _open) = tokio::join!(first, upstream);
    assert!(shadow.differing().is_empty(), "{}", shadow.report_text());
    let found = not_judged(&shadow);
    assert!(found[0].1.contains("under way at once"), "{found:?}");
}

#[tokio::test]
async fn the_report_is_served_to_this_machine_alone() {
    let pair = Pair::with(|upstream| upstream.rule("code.single_use", false)).await;
    let code = pair.code(&[]).await;
    pair.exchange(&code).await;
    pair.exchange(&code).await;
    let json = pair.send(get("/_mock/v1/shadow", None)).await;
    assert_eq!(json.json, pair.shadow.report());
    let row = &json.json["rules"][0];
    assert_eq!(row["rule"], "code.single_use");
    assert_eq!(row["evidence"], "guess");
    assert_eq!(row["differences"][0]["place"], "token: authorization_code");
    assert_eq!(row["differences"][0]["expected"], "400 invalid_grant");
    assert_eq!(row["differences"][0]["actual"], "accepted");
    let text = pair.send(get("/_mock/v1/shadow?format=text", None)).await;
    assert_eq!(text.text, pair.shadow.report_text());
    assert!(
        text.text
            .contains("code.single_use  (guess, protocol §3.4, §13)"),
        "{}",
        text.text
    );
    for (name, value) in [
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
    ] {
        let mut request = get("/_mock/v1/shadow", None);
        request
            .headers_mut()
            .insert(name, value.parse().expect("a header"));
        let reply = pair.send(request).await;
        assert_eq!(reply.status, 403, "{name}");
    }
    let before = pair.upstream.requests().len();
    assert_eq!(pair.send(get("/_mock/v1/info", None)).await.status, 404);
    assert_eq!(
        pair.send(post("/_mock/v1/shadow", None, &json!({})))
            .await
            .status,
        405
    );
    assert_eq!(pair.upstream.requests().len(), before);
}

/// With the file of the console the secret and the key of an app are judged from the first request on.
#[tokio::test]
async fn an_app_is_known_by_the_file_of_the_console() {
    let web = json!({ "client_type": "web", "client_id": WEB, "client_secret": SECRET,
        "redirect_uris": [CALLBACK], "coze_api_base": "https://api.coze.cn" });
    let key = include_str!("../../dev-key.pem");
    let jwt = json!({ "client_type": "jwt", "client_id": JWT, "private_key": key, "public_key_id": "mock-jwt-key-1" });
    let files = [web, jwt].map(|app| File::new("coze_oauth_config.json", &app.to_string()));
    for (id, rule_off) in [
        ("client.secret", true),
        ("client.secret_missing", true),
        ("authorize.redirect_uri", true),
        ("jwt.signature", true),
        ("jwt.signature", false),
        ("client.secret", false),
    ] {
        let pair = Pair::of(
            |upstream| upstream.rule(id, !rule_off),
            |shadow| {
                files
                    .iter()
                    .fold(shadow, |shadow, file| shadow.app(&file.0))
            },
        )
        .await;
        violate(id, &pair).await;
        match rule_off {
            true => pair.assert_differs(&[id]),
            false => assert_eq!(pair.row(id), (1, 0, 0), "{}", pair.shadow.report_text()),
        }
    }
    // Without it they are not.
    let pair = Pair::of(|upstream| upstream, |shadow| shadow).await;
    violate("jwt.signature", &pair).await;
    pair.assert_differs(&[]);
    assert_eq!(pair.row("jwt.signature").2 + pair.row("client.known").2, 1);
}

#[tokio::test]
async fn a_file_that_is_not_an_apps_is_told_without_its_text() {
    let secret = "vErySecret0123456789";
    for (text, why) in [
        (format!("{{\"client_secret\": \"{secret}"), "not JSON at line 1"),
        (json!({ "client_type": secret, "client_id": "a" }).to_string(), "none of web"),
        (json!({ "client_type": "web", "client_id": "a" }).to_string(), "client_secret is missing"),
        (
            json!({ "client_type": "jwt", "client_id": "a", "private_key": secret, "public_key_id": "k" }).to_string(),
            "private_key is not an RSA key",
        ),
    ] {
        let file = File::new("coze_oauth_config.json", &text);
        let builder = Shadow::builder("http://127.0.0.1:9").app(&file.0);
        let error = builder.start().await.expect_err(why).to_string();
        assert!(error.contains(why) && !error.contains(secret), "{error}");
    }
    let missing = Shadow::builder("http://127.0.0.1:9")
        .app("no/such/file.json")
        .start()
        .await;
    assert!(
        missing
            .expect_err("no file")
            .to_string()
            .contains("no/such/file.json")
    );
}
