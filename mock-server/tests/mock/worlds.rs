//! Several worlds in one mock: nothing of one is seen in another.

use std::time::Duration;

use coze_auth_mock::{At, CozeAuthMock, MockWorld, On};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::*;

const AUTHORIZE: &str = "/api/permission/oauth2/authorize";

/// A login in a world, as its user: access and refresh token.
fn log_in(m: &Mock, world: &MockWorld, mount: &str) -> (String, String) {
    let url = authorize_url(&[]).replace(AUTHORIZE, &format!("{mount}{AUTHORIZE}"));
    let redirect = world.authorize(&url, true).expect("an accepted request");
    let code = query_value(&redirect, "code").expect("a code");
    tokens(&m.post(
        &format!("{mount}{TOKEN}"),
        Some(SECRET),
        &exchange(WEB, &code),
    ))
}

fn tokens(reply: &Reply) -> (String, String) {
    (reply.member("access_token"), reply.member("refresh_token"))
}

fn me(m: &Mock, mount: &str, token: &str) -> u16 {
    m.get(&format!("{mount}/v1/users/me"), Some(token)).status
}

#[test]
fn a_token_of_one_world_is_unknown_in_another() {
    let m = Mock::new();
    let one = m.mock.world("one").expect("a name");
    let (access, refresh_token) = log_in(&m, &one, "/t/one");
    assert_eq!(me(&m, "/t/one", &access), 200);
    assert_eq!(me(&m, "/t/two", &access), 401);
    assert_eq!(me(&m, "", &access), 401);
    let foreign = m.post(
        &format!("/t/two{TOKEN}"),
        Some(SECRET),
        &refresh(WEB, &refresh_token),
    );
    assert_eq!(foreign.member("error"), "invalid_grant");
    let own = m.post(
        &format!("/t/one{TOKEN}"),
        Some(SECRET),
        &refresh(WEB, &refresh_token),
    );
    assert_eq!(own.status, 200);
    // What is revoked, reset or held in one is not in another.
    assert!(one.revoke("pat_mock_alice"));
    assert_eq!(me(&m, "/t/one", "pat_mock_alice"), 401);
    assert_eq!(me(&m, "/t/two", "pat_mock_alice"), 200);
    one.reset();
    assert_eq!(me(&m, "/t/one", "pat_mock_alice"), 200);
    let _held = one.gate("held", On::endpoint("users_me"), At::Request);
    assert_eq!(me(&m, "/t/two", "pat_mock_alice"), 200);
}

#[test]
fn each_has_a_journal_of_its_own() {
    let m = Mock::new();
    for mount in ["", "/t/one", "/t/one", "/t/two"] {
        me(&m, mount, "pat_mock_alice");
    }
    let seen = |world: &MockWorld| world.requests().len();
    let world = |name| m.mock.world(name).expect("a name");
    assert_eq!(
        (seen(&m.mock), seen(&world("one")), seen(&world("two"))),
        (1, 2, 1)
    );
    let paths = |path: &str| {
        m.get(path, None).json["requests"]
            .as_array()
            .expect("a list")
            .len()
    };
    assert_eq!(paths("/t/one/_mock/v1/requests"), 2);
    assert_eq!(paths("/_mock/v1/requests?world=one&endpoint=users_me"), 2);
    assert_eq!(paths("/_mock/v1/requests?endpoint=users_me"), 1);
}

#[test]
fn each_has_a_clock_of_its_own() {
    let m = Mock::new();
    let (one, two) = (
        m.mock.world("one").expect("a name"),
        m.mock.world("two").expect("a name"),
    );
    assert_eq!(one.clock().unix_ms(), NOW * 1000, "as the mock's stood");
    one.clock().advance(Duration::from_secs(901));
    m.control("/clock?world=two", &json!({ "set_ms": 5_000 }));
    assert_eq!(one.clock().unix_ms(), (NOW + 901) * 1000);
    assert_eq!(two.clock().unix_ms(), 5_000);
    assert_eq!(m.clock.unix_ms(), NOW * 1000);
    assert!(two.clock().is_frozen());
}

/// Tests run at once: fifty clients, each in its own world and at its own time.
#[test]
fn fifty_clients_in_fifty_worlds() {
    let m = Mock::new();
    std::thread::scope(|scope| {
        for number in 1..=50_u64 {
            let m = &m;
            scope.spawn(move || {
                let name = format!("w{number}");
                let mount = format!("/t/{name}");
                let world = m.mock.world(&name).expect("a name");
                world.clock().advance(Duration::from_secs(number * 3_600));
                let (mut access, mut refresh_token) = log_in(m, &world, &mount);
                for round in 0..10 {
                    assert_eq!(me(m, &mount, &access), 200, "{name} {round}");
                    // From world to world another pause: it ends in some and not in others.
                    world.clock().advance(Duration::from_secs(880 + number));
                    let ended = if number < 20 { 200 } else { 401 };
                    assert_eq!(me(m, &mount, &access), ended, "{name} {round}");
                    let body = refresh(WEB, &refresh_token);
                    let renewed = m.post(&format!("{mount}{TOKEN}"), Some(SECRET), &body);
                    (access, refresh_token) = tokens(&renewed);
                }
                let passed = number * 3_600 + 10 * (880 + number);
                assert_eq!(world.clock().unix_ms(), (NOW + passed) * 1000);
                let expected = if number < 20 { 0 } else { 10 };
                let refused = world
                    .requests()
                    .iter()
                    .filter(|seen| seen.outcome.status == 401)
                    .count();
                assert_eq!((world.requests().len(), refused), (32, expected));
            });
        }
    });
    assert!(m.mock.requests().is_empty());
}

/// What a client is sent back to stays in its world.
#[test]
fn addresses_lead_back_to_the_world() {
    let m = Mock::new();
    let host = |request: http::request::Builder| request.header("Host", "127.0.0.1:9777");
    let started = host(Request::post(format!("/t/one{DEVICE_CODE}")))
        .header("Content-Type", "application/json")
        .body(json!({ "client_id": DEVICE }).to_string().into());
    let started = m.send(started.expect("a request"));
    assert_eq!(
        started.member("verification_uri"),
        "http://127.0.0.1:9777/t/one/oauth/device-activation"
    );
    let url = authorize_url(&[]);
    let target = &url[url.find(AUTHORIZE).expect("the path")..];
    let asked = host(Request::get(format!("/t/one{target}"))).body(bytes::Bytes::new());
    let asked = m.send(asked.expect("a request"));
    assert!(
        asked
            .header("location")
            .starts_with("http://127.0.0.1:9777/t/one/oauth/consent?")
    );
    for path in ["/t/one/_mock/v1/info", "/_mock/v1/info?world=one"] {
        let info = host(Request::get(path)).body(bytes::Bytes::new());
        let info = m.send(info.expect("a request"));
        assert_eq!(
            info.member("base_url"),
            "http://127.0.0.1:9777/t/one",
            "{path}"
        );
    }
    // And in a mock that another app has mounted.
    let app = axum::Router::new().nest("/coze", m.mock.router());
    let info = host(Request::get("/coze/_mock/v1/info?world=one")).body(axum::body::Body::empty());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let body = runtime.block_on(async {
        let Ok(reply) = app.oneshot(info.expect("a request")).await;
        reply.into_body().collect().await.expect("a body")
    });
    let text = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    assert!(
        text.contains(r#""base_url":"http://127.0.0.1:9777/coze/t/one""#),
        "{text}"
    );
}

#[test]
fn a_world_is_made_as_it_is_asked_for() {
    let m = Mock::new();
    let made = m.control(
        "/worlds",
        &json!({ "name": "w1", "seed": 42, "clock": "2026-01-01T00:00:00Z", "ttl_s": 600 }),
    );
    assert_eq!(made.status, 200, "{}", made.text);
    assert!(made.member("base_url").ends_with("/t/w1"));
    assert_eq!(made.json["now_ms"], 1_767_225_600_000_u64);
    let listed = m.get("/_mock/v1/worlds", None);
    assert_eq!(listed.json["worlds"][0]["name"], "w1");

    // The same seed, the same tokens, whatever the name; another seed, others.
    let first = |name: &str| {
        let world = m.mock.world(name).expect("a name");
        log_in(&m, &world, &format!("/t/{name}")).0
    };
    let of_seed = first("w1");
    m.control("/worlds", &json!({ "name": "w2", "seed": 42 }));
    m.control("/worlds", &json!({ "name": "w3", "seed": 43 }));
    assert_eq!(first("w2"), of_seed);
    assert_ne!(first("w3"), of_seed);
    // Without one, of the mock's seed and the name: the same in every start.
    let again = Mock::new();
    let by_name = log_in(&again, &again.mock.world("w4").expect("a name"), "/t/w4").0;
    assert_eq!(first("w4"), by_name);
    assert_ne!(first("w5"), by_name);

    // Made again, it is another; removed, it is gone until somebody comes.
    assert_eq!(me(&m, "/t/w1", &of_seed), 200);
    m.control("/worlds", &json!({ "name": "w1", "seed": 42 }));
    assert_eq!(me(&m, "/t/w1", &of_seed), 401);
    let remove = || Request::delete("/_mock/v1/worlds/w1").body(bytes::Bytes::new());
    assert_eq!(m.send(remove().expect("a request")).status, 200);
    assert_eq!(m.send(remove().expect("a request")).status, 404);
}

#[test]
fn names_that_do_not_fit_are_refused() {
    let m = Mock::new();
    for name in [
        "",
        "..",
        ".hidden",
        "-",
        "a b",
        "a%2Fb",
        "扣子",
        &"a".repeat(65),
    ] {
        assert!(m.mock.world(name).is_err(), "{name}");
        let made = m.control("/worlds", &json!({ "name": name }));
        assert_eq!(made.status, 400, "{name}");
        assert!(
            made.member("error").contains("1 to 64 letters"),
            "{}",
            made.text
        );
    }
    for path in [
        "/t/",
        "/t//v1/users/me",
        "/t/a%20b/v1/users/me",
        "/t/../v1/users/me",
    ] {
        assert_eq!(m.get(path, Some("pat_mock_alice")).status, 404, "{path}");
    }
    assert_eq!(m.get("/_mock/v1/info?world=a%2Fb", None).status, 400);
    for body in [
        json!({}),
        json!({ "name": "w", "clock": "soon" }),
        json!({ "name": "w", "odd": 1 }),
    ] {
        assert_eq!(m.control("/worlds", &body).status, 400, "{body}");
    }
    let late = m.control("/worlds", &json!({ "name": "w", "clock": "soon" }));
    let why = late.json["error"].as_str().expect("a reason");
    assert!(
        why.starts_with("clock: expected a time in RFC 3339"),
        "{why}"
    );
    let nothing: Vec<serde_json::Value> = Vec::new();
    assert_eq!(
        m.get("/_mock/v1/worlds", None).json["worlds"],
        json!(nothing)
    );
}

/// A page elsewhere must not make or remove worlds either.
#[test]
fn worlds_are_for_this_machine() {
    let m = Mock::new();
    for path in [
        "/_mock/v1/worlds",
        "/t/one/_mock/v1/info",
        "/_mock/v1/info?world=one",
    ] {
        let request = Request::get(path).header("Host", "evil.example");
        let reply = m.send(request.body(bytes::Bytes::new()).expect("a request"));
        assert_eq!(reply.status, 403, "{path}");
    }
}

#[test]
fn a_world_has_its_address_over_a_socket() {
    let mock = CozeAuthMock::builder()
        .start_blocking()
        .expect("a free port");
    let world = mock.world("one").expect("a name");
    assert_eq!(world.base_url(), format!("{}/t/one", mock.base_url()));
    assert!(world.environment().contains("/t/one"));
    assert_eq!(world.info()["base_url"], world.base_url());
}

/// A test suite takes a world for each test. At commit e0d4b6f a world had 65,000 bytes.
#[test]
fn a_new_world_is_small() {
    let m = Mock::new();
    let ask = |name: &str| {
        let request = Request::get(format!("/t/{name}/v1/users/me"))
            .header("authorization", "Bearer pat_mock_alice")
            .body(bytes::Bytes::new());
        let answer = m.mock.call_blocking(request.expect("a request"));
        assert_eq!(answer.status(), 200);
    };
    // What all worlds share is made with the first.
    ask("first");
    let names: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let held = allocation_counter::measure(|| names.iter().for_each(|name| ask(name)));
    let bytes = held.bytes_current / 100;
    assert!((1_000..5_000).contains(&bytes), "{bytes} bytes");
}
