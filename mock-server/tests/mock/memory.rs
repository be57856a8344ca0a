//! The memory of all worlds: it is counted, it has one bound, and who is small keeps what it has.

use bytes::Bytes;
use coze_auth_mock::MockWorld;
use http::Request;
use serde_json::{Value, json};

use crate::support::*;

const MB: usize = 1_000_000;

fn gauge(m: &Mock, mount: &str, name: &str) -> usize {
    let text = m.get(&format!("{mount}/_mock/v1/metrics"), None).text;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("coze_auth_mock_{name} ")));
    let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    value.parse().expect("a number")
}

/// A request that is refused, of which the journal keeps as much as of any: some 13,000 bytes.
fn large(m: &Mock, mount: &str) -> u16 {
    let mut request = post(
        &format!("{mount}{TOKEN}"),
        None,
        &json!({ "client_id": WEB }),
    );
    let agent: http::HeaderValue = "word ".repeat(38).parse().expect("a value");
    for _ in 0..60 {
        request.headers_mut().append("user-agent", agent.clone());
    }
    m.mock.call_blocking(request).status().as_u16()
}

#[test]
fn a_journal_is_bounded_by_bytes_as_well() {
    let m = Mock::new();
    for _ in 0..900 {
        assert_eq!(large(&m, "/t/w"), 400);
    }
    let kept = m.mock.world("w").expect("room").requests();
    assert!((550..750).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().map(|entry| entry.seq), Some(900));
    let bytes = gauge(&m, "/t/w", "journal_bytes");
    assert!((7 << 20..=8 << 20).contains(&bytes), "{bytes}");
    // What was evicted is not counted by `verify` as if it had never been there.
    let expect = json!({ "expect": [{ "endpoint": "token", "count": { "eq": kept.len() } }] });
    let verified = m.control("/verify?world=w", &expect).json;
    assert_eq!(verified["ok"], false);
    // The newest request stays, and a large journal may have more of them.
    let many = Mock::with(|builder| builder.journal_capacity(3_000));
    for _ in 0..900 {
        large(&many, "");
    }
    assert_eq!(many.mock.requests().len(), 900);
}

/// Long texts are moved together now and then: each is still that of its own request.
#[test]
fn what_a_journal_moves_stays_the_text_of_its_request() {
    let m = Mock::with(|builder| builder.journal_capacity(300));
    let agent = |n: usize| format!("agent/{n} {}end", "word ".repeat(n % 30));
    let client = |n: usize| format!("{n:032}.app.coze");
    let sent = 600;
    for n in 0..sent {
        let mut request = post(TOKEN, None, &json!({ "client_id": client(n) }));
        let agent = http::HeaderValue::try_from(agent(n)).expect("a value");
        request.headers_mut().append("user-agent", agent);
        assert!(m.mock.call_blocking(request).status().is_client_error());
        if n % 100 == 0 {
            assert_eq!(m.jwt(|_, _| {}).status, 200);
        }
    }
    let entries = m.mock.requests();
    assert_eq!(entries.len(), 300);
    let (assertions, others): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| entry.jwt.is_some());
    assert!(assertions.len() >= 2, "{}", assertions.len());
    for entry in assertions {
        let jwt = entry.jwt.as_ref().expect("an assertion");
        assert_eq!(jwt.header["kid"], "mock-jwt-key-1");
        assert_eq!(jwt.payload["aud"], "api.coze.cn");
    }
    for (entry, n) in others.iter().rev().zip((0..sent).rev()) {
        assert_eq!(entry.path, TOKEN);
        assert_eq!(entry.headers["user-agent"], agent(n));
        assert_eq!(entry.json.as_ref().expect("a body")["client_id"], client(n));
    }
}

/// Each flow, in a world of its own.
fn flows(m: &Mock, name: &str) -> (MockWorld, String) {
    let mount = format!("/t/{name}");
    let world = m.mock.world(name).expect("room");
    let redirect = world
        .authorize(&authorize_url(&[]), true)
        .expect("accepted");
    let code = query_value(&redirect, "code").expect("a code");
    let token = |body: &Value| m.post(&format!("{mount}{TOKEN}"), Some(SECRET), body);
    let tokens = token(&exchange(WEB, &code)).member("refresh_token");
    let renewed = token(&refresh(WEB, &tokens)).member("refresh_token");
    m.get(&format!("{mount}{}", target(&authorize_url(&[]))), None);
    m.post(
        &format!("{mount}{DEVICE_CODE}"),
        None,
        &json!({ "client_id": DEVICE }),
    );
    m.get(
        &format!("{mount}/v1/users/me?token={renewed}"),
        Some(&renewed),
    );
    (world, renewed)
}

/// Or the bound would be one of something else.
#[test]
fn what_is_counted_is_what_is_allocated() {
    let m = Mock::new();
    flows(&m, "warm");
    let before = gauge(&m, "", "memory_bytes");
    // Without the log, which the tests keep.
    let silent = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
    let allocated = allocation_counter::measure(|| {
        for n in 0..20 {
            for _ in 0..20 {
                drop(flows(&m, &format!("w{n}")));
            }
            large(&m, &format!("/t/w{n}"));
        }
    });
    drop(silent);
    let counted = gauge(&m, "", "memory_bytes") - before;
    let allocated = usize::try_from(allocated.bytes_current).expect("it grew");
    let ratio = counted * 100 / allocated;
    assert!(
        (100..140).contains(&ratio),
        "{counted} bytes for {allocated}"
    );
    // What ends is not counted any more.
    for n in 0..20 {
        let remove = Request::delete(format!("/_mock/v1/worlds/w{n}")).body(Bytes::new());
        m.send(remove.expect("a request"));
    }
    assert_eq!(gauge(&m, "", "memory_bytes"), before);
    m.mock.world("warm").expect("room").reset();
    assert!(gauge(&m, "", "memory_bytes") < before - 5_000);
}

/// Ten worlds that take all they can get, and one that needs little.
#[test]
fn all_worlds_together_have_one_bound() {
    let m = Mock::with(|builder| builder.max_memory_mb(16));
    assert_eq!(gauge(&m, "", "memory_max_bytes"), 16 * MB);
    assert_eq!(
        m.get("/_mock/v1/info", None).json["max_memory_bytes"],
        16 * MB
    );
    let (small, token) = flows(&m, "small");
    // Nothing but its requests keeps it.
    drop(small);
    let mut most = 0;
    for _ in 0..160 {
        for n in 0..10 {
            assert_eq!(large(&m, &format!("/t/large{n}")), 400);
        }
        most = most.max(gauge(&m, "", "memory_bytes"));
    }
    assert!((13 * MB..=16 * MB).contains(&most), "{most}");
    for n in 0..10 {
        let kept = m.mock.world(&format!("large{n}")).expect("room").requests();
        // Each has its share, and its newest request.
        assert!((50..=160).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().map(|entry| entry.seq), Some(160));
    }
    let small = m.mock.world("small").expect("room");
    assert_eq!(small.requests().len(), 6);
    let token = m.post(
        &format!("/t/small{TOKEN}"),
        Some(SECRET),
        &refresh(WEB, &token),
    );
    assert_eq!(token.status, 200, "{}", token.text);
}

/// They go before anybody has to give up a part.
#[test]
fn worlds_that_were_used_once_make_room_first() {
    let m = Mock::with(|builder| builder.max_memory_mb(16));
    for _ in 0..50 {
        large(&m, "/t/test");
    }
    for n in 0..1_000 {
        assert_eq!(large(&m, &format!("/t/e{n}")), 400);
        if n % 10 == 0 {
            assert!(gauge(&m, "", "memory_bytes") <= 16 * MB);
        }
    }
    assert_eq!(m.mock.world("test").expect("room").requests().len(), 50);
    let worlds = gauge(&m, "", "worlds");
    assert!((600..900).contains(&worlds), "{worlds}");
}

/// What nobody may evict is refused when there is no room for it.
#[test]
fn faults_scripts_and_configurations_count() {
    let m = Mock::with(|builder| builder.max_memory_mb(16));
    let body = "x".repeat(60_000);
    let fault =
        json!({ "on": { "endpoint": "token" }, "fault": { "kind": "status", "body": body } });
    let steps = vec![json!({ "fault": { "kind": "status", "body": body } }); 20];
    let script = json!({ "on": { "endpoint": "token" }, "then": steps });
    let config = format!("# {}\n", "x".repeat(1_000_000));
    for (path, body, least) in [("/faults", &fault, 200), ("/script", &script, 10)] {
        let mut refused = None;
        let mut placed = 0;
        'all: for n in 0..10 {
            for _ in 0..60 {
                let reply = m.control(&format!("{path}?world=w{n}"), body);
                if reply.status != 200 {
                    refused = Some(reply);
                    break 'all;
                }
                placed += 1;
            }
        }
        let refused = refused.expect("there is an end");
        assert_eq!(refused.status, 503, "{}", refused.text);
        assert!(
            refused.member("error").contains("--max-memory"),
            "{}",
            refused.text
        );
        assert!(placed > least, "{placed} of {path}");
        assert!(gauge(&m, "", "memory_bytes") <= 16 * MB);
        for n in 0..10 {
            let _ = m.control(&format!("/reset?world=w{n}"), &json!({}));
        }
        assert!(gauge(&m, "", "memory_bytes") < MB, "a reset gives it back");
    }
    let mut made = 0;
    let refused = loop {
        let reply = m.control(
            "/worlds",
            &json!({ "name": format!("c{made}"), "config": config }),
        );
        if reply.status != 200 {
            break reply;
        }
        made += 1;
    };
    assert_eq!((refused.status, made), (503, 3), "{}", refused.text);
    assert!(
        refused
            .member("error")
            .contains("no room for another world")
    );
}
