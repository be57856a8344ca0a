//! The journal tells who has a token when it was given and when it was spent.

use coze_auth_mock::fingerprint;
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn a_rotation_can_be_followed_through_the_journal() {
    let m = Mock::new();
    let code = m.code(&[]);
    let first = m.exchange_web(&code);
    let second = m.refresh_web(&first.member("refresh_token"));
    let replayed = m.refresh_web(&first.member("refresh_token"));
    m.me(&second.member("access_token"));
    assert_eq!(replayed.rule(), Some("refresh.rotate"));

    let print = |reply: &Reply, name: &str| fingerprint(&reply.member(name));
    let pair = |reply: &Reply| {
        let refresh = print(reply, "refresh_token");
        json!({ "access": print(reply, "access_token"), "refresh": refresh })
    };
    let spent = json!(print(&first, "refresh_token"));
    let expected = [
        (Value::Null, Value::Null),
        (json!(fingerprint(&code)), pair(&first)),
        (spent.clone(), pair(&second)),
        (spent, Value::Null),
        (json!(print(&second, "access_token")), Value::Null),
    ];
    let listed = m.get("/_mock/v1/requests", None).json;
    let listed = listed["requests"].as_array().expect("a list").iter();
    let listed = listed.map(|entry| (entry["presented"].clone(), entry["issued"].clone()));
    assert_eq!(listed.collect::<Vec<_>>(), expected);
}

#[test]
fn the_other_grants_are_followed_too() {
    let m = Mock::new();
    let (device_code, user_code) = m.device();
    m.decide(&user_code, "approve");
    let tokens = m.poll(&device_code);
    let entry = m.mock.requests().pop().expect("an entry");
    assert_eq!(entry.presented, Some(fingerprint(&device_code)));
    let issued = entry.issued.expect("tokens");
    assert_eq!(issued.access, fingerprint(&tokens.member("access_token")));
    let refresh = fingerprint(&tokens.member("refresh_token"));
    assert_eq!(issued.refresh, Some(refresh));

    let token = m.jwt(|_, _| {}).member("access_token");
    let entry = m.mock.requests().pop().expect("an entry");
    assert_eq!(entry.presented, None);
    let issued = entry.issued.expect("a token");
    assert_eq!((issued.access, issued.refresh), (fingerprint(&token), None));
}

/// Whatever becomes of the request, but nothing that could be guessed.
#[test]
fn what_is_refused_was_presented_all_the_same() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let presented = || m.mock.requests().pop().expect("an entry").presented;
    let unproven = m.post(TOKEN, Some("another secret"), &refresh(WEB, &token));
    assert_eq!(unproven.rule(), Some("client.secret"));
    assert_eq!(presented(), Some(fingerprint(&token)));
    let unknown = "u".repeat(40);
    assert_eq!(m.refresh_web(&unknown).rule(), Some("refresh.known"));
    assert_eq!(presented(), Some(fingerprint(&unknown)));
    let stranger = "s".repeat(40);
    assert_eq!(m.me(&stranger).rule(), Some("token.known"));
    assert_eq!(presented(), Some(fingerprint(&stranger)));
    for guessable in ["u".repeat(39), "pat_mock_alice".to_owned()] {
        m.refresh_web(&guessable);
        assert_eq!(presented(), None);
        m.me(&guessable);
        assert_eq!(presented(), None);
    }
}

#[test]
fn what_is_refused_issues_nothing() {
    let m = Mock::new();
    let (device_code, _) = m.device();
    let code = m.code(&[]);
    m.exchange_web(&code);
    let assertion = assertion(NOW, |_, _| {});
    let too_long = json!({ "grant_type": JWT_GRANT, "duration_seconds": 86_400 });
    let refused: [(&str, &dyn Fn() -> Reply, _); 3] = [
        (
            "code.single_use",
            &|| m.exchange_web(&code),
            Some(fingerprint(&code)),
        ),
        (
            "device.pending",
            &|| m.poll(&device_code),
            Some(fingerprint(&device_code)),
        ),
        (
            "jwt.duration",
            &|| m.post(TOKEN, Some(&assertion), &too_long),
            None,
        ),
    ];
    for (rule, send, presented) in refused {
        assert_eq!(send().rule(), Some(rule));
        let entry = m.mock.requests().pop().expect("an entry");
        assert_eq!(entry.presented, presented, "{rule}");
        assert_eq!(entry.issued, None, "{rule}");
    }
}

#[test]
fn the_journal_keeps_as_many_as_it_is_told() {
    for (capacity, kept) in [
        (Some(3), 3),
        (Some(1), 1),
        (Some(0), 1),
        (Some(2_500), 2_011),
        (None, 2_000),
    ] {
        let m = Mock::with(|builder| match capacity {
            Some(capacity) => builder.journal_capacity(capacity),
            None => builder,
        });
        for _ in 0..2_010 {
            m.me("pat_mock_alice");
        }
        m.mock.authorize(&authorize_url(&[]), true).expect("a code");
        let seqs: Vec<_> = m.mock.requests().iter().map(|entry| entry.seq).collect();
        let newest: Vec<_> = (2_012 - kept..=2_011).collect();
        assert_eq!(seqs, newest, "{capacity:?}");
    }
}
