//! Whatever comes: an answer below 500, with a log id, and an entry in the journal.

use bytes::Bytes;
use http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    DEVICE, DEVICE_CODE, DEVICE_GRANT, JWT, JWT_GRANT, Mock, PKCE, Reply, SECRET, TOKEN, WEB,
    authorize_url,
};

const PATHS: [&str; 5] = [
    TOKEN,
    DEVICE_CODE,
    "/api/permission/oauth2/account/1/token",
    "/api/permission/oauth2/enterprise_id/e/token",
    "/api/permission/oauth2/workspace_id/w/device/code",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!("code_mock_x")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bodies that get past the first checks more often than any JSON does.
fn near_body() -> impl Strategy<Value = Value> {
    let grant = prop::sample::select(vec![
        "authorization_code",
        "refresh_token",
        DEVICE_GRANT,
        JWT_GRANT,
        "password",
    ]);
    let client = prop::sample::select(vec![WEB, PKCE, DEVICE, JWT, ""]);
    let name = prop::sample::select(vec![
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
        "device_code",
        "duration_seconds",
        "scope",
    ]);
    let others = prop::collection::hash_map(name, any_json(), 0..6);
    (grant, client, others).prop_map(|(grant, client, others)| {
        let mut body = json!({ "grant_type": grant, "client_id": client });
        for (name, value) in others {
            body[name] = value;
        }
        body
    })
}

fn assert_answered(m: &Mock, reply: &Reply) -> Result<(), TestCaseError> {
    prop_assert!(reply.status < 500, "{}: {}", reply.status, reply.text);
    prop_assert!(!reply.header("x-tt-logid").is_empty());
    prop_assert_eq!(m.mock.requests().len(), 1);
    prop_assert!(reply.explanation.is_some());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(
        path in prop::sample::select(PATHS.to_vec()),
        body in prop::collection::vec(any::<u8>(), 0..256),
        bearer in prop::collection::vec(0x20_u8..=0xff, 0..64),
    ) {
        let m = Mock::new();
        let mut value = b"Bearer ".to_vec();
        value.extend(bearer.into_iter().filter(|byte| *byte != 0x7f));
        let request = Request::post(path)
            .header("Content-Type", "application/json")
            .header("Authorization", value)
            .body(Bytes::from(body))
            .expect("a request");
        let reply = m.send(request);
        assert_answered(&m, &reply)?;
    }

    #[test]
    fn any_json_body(path in prop::sample::select(PATHS.to_vec()), body in any_json()) {
        let m = Mock::new();
        let reply = m.post(path, Some(SECRET), &body);
        assert_answered(&m, &reply)?;
    }

    #[test]
    fn nearly_right_bodies(
        path in prop::sample::select(PATHS.to_vec()),
        body in near_body(),
        jwt in ("[a-zA-Z0-9_-]{0,20}", any_json(), any_json()),
    ) {
        use base64::Engine as _;
        let part = |value: &Value| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
        };
        let m = Mock::with(|builder| builder.rule("client.secret", false));
        let bearer = format!("{}.{}.{}", part(&jwt.1), part(&jwt.2), jwt.0);
        let reply = m.post(path, Some(&bearer), &body);
        assert_answered(&m, &reply)?;
    }

    #[test]
    fn signed_but_odd_claims(name in "iss|aud|iat|exp|jti|kid", value in any_json()) {
        let m = Mock::new();
        let reply = m.jwt(|_, claims| claims[name] = value);
        assert_answered(&m, &reply)?;
    }

    #[test]
    fn any_authorize_parameters(
        name in prop::sample::select(vec![
            "response_type", "client_id", "redirect_uri", "state", "code_challenge",
            "code_challenge_method",
        ]),
        value in ".{1,40}",
        approve in any::<bool>(),
    ) {
        let m = Mock::new();
        let url = authorize_url(&[(name, &value)]);
        match m.mock.authorize(&url, approve) {
            Ok(redirect) => {
                // Only ever to where the app is registered.
                prop_assert!(redirect.starts_with("http://localhost:8080/callback?"));
            }
            Err(refused) => prop_assert!(refused.status < 500 && refused.explanation.rule.is_some()),
        }
    }

    #[test]
    fn any_form_on_the_pages(form in prop::collection::vec(any::<u8>(), 0..128)) {
        let m = Mock::new();
        for path in ["/oauth/consent", "/oauth/device-activation"] {
            let request = Request::post(path).body(Bytes::from(form.clone()));
            let reply = m.send(request.expect("a request"));
            prop_assert!((400..500).contains(&reply.status));
        }
    }

    #[test]
    fn any_control_body(
        path in prop::sample::select(vec![
            "/authorize", "/clock", "/device/AAA", "/tokens/revoke", "/apps/x", "/verify", "/leaks", "/gates/x", "/gates/x/release",
        ]),
        body in any_json(),
    ) {
        let m = Mock::new();
        let reply = m.control(path, &body);
        prop_assert!((400..500).contains(&reply.status), "{}", reply.text);
    }
}
