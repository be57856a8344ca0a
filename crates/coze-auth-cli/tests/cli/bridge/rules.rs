//! What RFC 6749, 6750, 7636 and 8628 ask of a server, and what it refuses.

use coze_auth_mock::AppKind;

use super::process::{Answer, Bridge, MACHINE, REDIRECT, basic};
use crate::support::Home;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// RFC 6749 §3.1 and §3.2.
#[test]
fn a_parameter_is_there_once_and_an_empty_one_is_not_there() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    for name in [
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "scope",
    ] {
        for values in [["a", "b"], ["a", "a"], ["", "a"], ["", ""]] {
            let answer = bridge.token(&[], &values.map(|value| (name, value)));
            let words = answer.refused(400, "invalid_request");
            assert!(
                words.contains(&format!("the parameter {name} is there twice")),
                "{words}"
            );
        }
    }
    for name in [
        "client_id",
        "redirect_uri",
        "response_type",
        "state",
        "code_challenge",
    ] {
        let page = bridge.get(&format!("/authorize?{name}=a&{name}=a"), &[]);
        assert_eq!((page.status, page.header("location")), (400, ""));
        assert!(
            page.body
                .contains(&format!("the parameter {name} is there twice")),
            "{page:?}"
        );
    }
    let (code, device) = (
        "authorization_code",
        "urn:ietf:params:oauth:grant-type:device_code",
    );
    for (form, missing) in [
        (vec![], "grant_type"),
        (vec![("grant_type", "")], "grant_type"),
        (vec![("grant_type", code)], "client_id"),
        (vec![("grant_type", code), ("client_id", "a")], "code"),
        (
            vec![("grant_type", code), ("client_id", "a"), ("code", "")],
            "code",
        ),
        (
            vec![("grant_type", code), ("client_id", "a"), ("code", "c")],
            "redirect_uri",
        ),
        (
            vec![("grant_type", "refresh_token"), ("client_id", "a")],
            "refresh_token",
        ),
        (
            vec![("grant_type", device), ("client_id", "a")],
            "device_code",
        ),
        // What is not known is passed over, and may be there twice (RFC 8707 §2).
        (vec![("resource", "a"), ("resource", "b")], "grant_type"),
    ] {
        let words = bridge.token(&[], &form).refused(400, "invalid_request");
        assert_eq!(
            words,
            format!("the parameter {missing} is missing"),
            "{form:?}"
        );
    }
    let words = bridge
        .post("/device_authorization", &[], &[])
        .refused(400, "invalid_request");
    assert_eq!(words, "the parameter client_id is missing");
    assert_eq!(home.mock.requests().len(), 0, "none of them is Coze's");
}

#[test]
fn the_body_is_a_form_and_the_url_has_nothing_of_it() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let refused = |head: &[&str], body: &str| {
        bridge
            .ask("POST", "/token", head, body)
            .refused(400, "invalid_request")
    };
    for kind in ["application/json", "multipart/form-data", "text/plain", ""] {
        let words = refused(&[&format!("Content-Type: {kind}")], "grant_type=password");
        assert!(words.contains("the body is not a form"), "{words}");
    }
    assert!(refused(&[], "grant_type=password").contains("the body is not a form"));
    let kinds = [
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
    ];
    for kind in kinds {
        let answer = bridge.ask(
            "POST",
            "/token",
            &[&format!("Content-Type: {kind}")],
            "grant_type=password",
        );
        answer.refused(400, "unsupported_grant_type");
    }
    for at in ["/token", "/device_authorization"] {
        for name in ["client_secret", "code", "refresh_token", "grant_type"] {
            let answer = bridge.post(&format!("{at}?{name}=a"), &[], &[("client_id", "a")]);
            let words = answer.refused(400, "invalid_request");
            assert!(
                words.contains(&format!("the parameter {name} is in the URL")),
                "{words}"
            );
        }
    }
    // RFC 6749 §3.2: the address may have a query of its own.
    bridge.token(&[], &[]).refused(400, "invalid_request");
    let kept = bridge.post("/token?tenant=5", &[], &[("grant_type", "password")]);
    kept.refused(400, "unsupported_grant_type");
    for (at, method, allow) in [
        ("/token", "GET", "POST"),
        ("/token", "PUT", "POST"),
        ("/token", "OPTIONS", "POST"),
        ("/device_authorization", "GET", "POST"),
        ("/authorize", "POST", "GET"),
        ("/userinfo", "POST", "GET"),
        (
            "/.well-known/oauth-authorization-server",
            "POST",
            "GET, HEAD",
        ),
        ("/health", "DELETE", "GET, HEAD"),
    ] {
        let answer = bridge.ask(method, at, &[FORM], "");
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, allow),
            "{method} {at}"
        );
    }
    assert_eq!(bridge.ask("HEAD", "/health", &[], "").status, 200);
    bridge.get("/tokens", &[]).refused(404, "invalid_request");
    assert_eq!(home.mock.requests().len(), 0);
}

/// RFC 6749 §2.3 and §5.2.
#[test]
fn a_client_says_once_who_it_is() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let id = home.app(AppKind::Web);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "r")];
    let challenged = |answer: &Answer| {
        let words = answer.refused(401, "invalid_client");
        assert_eq!(
            answer.header("www-authenticate"),
            "Basic realm=\"Coze\", charset=\"UTF-8\""
        );
        words
    };
    for header in [
        "Authorization: Basic",
        "Authorization: Basic ",
        "Authorization: Basic ***",
        "Authorization: Basic bm9jb2xvbg==",
        "Authorization: Basic /w==",
        "Authorization: Bearer mock-web-secret",
        "Authorization: Digest a",
        "Authorization: \u{ff}",
    ] {
        let words = challenged(&bridge.token(&[header], &refresh));
        assert!(
            words.contains("it is Basic, with client id and client secret"),
            "{words}"
        );
    }
    let words = challenged(&bridge.token(&[&basic("", "secret")], &refresh));
    assert!(words.contains("has no client id"), "{words}");
    let own = basic(&id, "secret");
    for (more, says) in [
        (("client_secret", "secret"), "says who it is twice"),
        (("client_id", "another"), "is another than that of the body"),
    ] {
        let words = bridge
            .token(&[&own], &[&refresh[..], &[more]].concat())
            .refused(400, "invalid_request");
        assert!(words.contains(says), "{words}");
    }
    let words = bridge
        .token(&[&own, &own], &refresh)
        .refused(400, "invalid_request");
    assert!(words.contains("Authorization twice"), "{words}");
    assert_eq!(home.mock.requests().len(), 0);
    // Coze's word on a wrong secret.
    for answer in [
        bridge.token(&[&own], &[&refresh[..], &[("client_id", &id)]].concat()),
        bridge.token(
            &[],
            &[
                &refresh[..],
                &[("client_id", &id), ("client_secret", "secret")],
            ]
            .concat(),
        ),
    ] {
        let words = challenged(&answer);
        assert!(
            words.starts_with("Coze refused: invalid_client (HTTP 401): "),
            "{words}"
        );
        assert_eq!(answer.text("error_code"), "invalid_client");
    }
    // What cannot be one goes nowhere.
    let odd = bridge.token(
        &[],
        &[
            &refresh[..],
            &[("client_id", &id), ("client_secret", "a b")],
        ]
        .concat(),
    );
    challenged(&odd);
    let odd = bridge.token(&[], &[&refresh[..], &[("client_id", "a\nb")]].concat());
    challenged(&odd);
    assert_eq!(home.mock.requests().len(), 2);
}

#[test]
fn what_cannot_be_a_code_or_a_token_is_an_invalid_grant() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let id = home.app(AppKind::Pkce);
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    for odd in ["a\nb", "\u{fffd}", "ü", "\0"] {
        for (grant_type, name) in [
            ("authorization_code", "code"),
            ("refresh_token", "refresh_token"),
            (device, "device_code"),
        ] {
            let form = [
                ("grant_type", grant_type),
                (name, odd),
                ("client_id", &*id),
                ("redirect_uri", REDIRECT),
                (
                    "code_verifier",
                    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                ),
            ];
            bridge.token(&[], &form).refused(400, "invalid_grant");
        }
    }
    for (name, odd) in [
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "/cb"),
        ("code_verifier", "short"),
    ] {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", "c"),
            ("client_id", &*id),
            ("redirect_uri", REDIRECT),
            (
                "code_verifier",
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            ),
        ];
        form.retain(|(there, _)| *there != name);
        form.push((name, odd));
        bridge.token(&[], &form).refused(400, "invalid_request");
    }
    // Neither a secret nor PKCE.
    let form = [
        ("grant_type", "authorization_code"),
        ("code", "c"),
        ("client_id", &*id),
        ("redirect_uri", REDIRECT),
    ];
    let words = bridge.token(&[], &form).refused(400, "invalid_request");
    assert!(
        words.contains("neither a client secret nor a code_verifier"),
        "{words}"
    );
    assert_eq!(home.mock.requests().len(), 0);
}

/// RFC 6750 §3.
#[test]
fn a_profile_needs_a_good_token() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    for head in [
        &[][..],
        &["Authorization: Basic YTpi"],
        &["Authorization: Bearer"],
    ] {
        let answer = bridge.get("/userinfo", head);
        answer.refused(401, "invalid_request");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"Coze\"",
            "{head:?}"
        );
    }
    let challenged = |answer: &Answer, status, error| {
        let words = answer.refused(status, error);
        let challenge =
            format!("Bearer realm=\"Coze\", error=\"{error}\", error_description=\"{words}\"");
        assert_eq!(answer.header("www-authenticate"), challenge);
        words
    };
    challenged(
        &bridge.get("/userinfo", &["Authorization: Bearer a b"]),
        401,
        "invalid_token",
    );
    let twice = bridge.get(
        "/userinfo",
        &["Authorization: Bearer a", "Authorization: Bearer b"],
    );
    challenged(&twice, 400, "invalid_request");
    assert_eq!(home.mock.requests().len(), 0);
    let unknown = bridge.get("/userinfo", &["Authorization: Bearer czu_unknown"]);
    let words = challenged(&unknown, 401, "invalid_token");
    assert!(words.contains("4100"), "{words}");
    assert!(!unknown.header("x-tt-logid").is_empty());
    // In the URL it is not looked at (RFC 6750 §2.3).
    bridge
        .get("/userinfo?access_token=pat_mock_alice", &[])
        .refused(401, "invalid_request");
    let console = bridge.get("/userinfo", &["Authorization: bearer pat_mock_alice"]);
    assert_eq!(console.text("sub"), "7300000000000000001");
}

#[test]
fn a_machine_token_is_for_nobody_else() {
    let home = Home::new();
    let (id, secret) = MACHINE;
    let form = [("grant_type", "client_credentials")];
    let none = Bridge::start(&home);
    let words = none
        .token(&[&basic(id, secret)], &form)
        .refused(400, "unsupported_grant_type");
    assert!(words.contains("--machine-clients"), "{words}");
    let bridge = Bridge::with_machine(&home, &[]);
    let (jwt, web) = (home.app(AppKind::Jwt), home.app(AppKind::Web));
    let longer = format!("{secret}a");
    for (id, secret) in [
        (id, ""),
        (id, &secret[1..]),
        (id, &*longer),
        ("graf", secret),
        ("Grafana", secret),
        ("nobody", secret),
        ("nobody", ""),
        (&*jwt, secret),
        (&*web, "mock-web-secret"),
    ] {
        let answer = bridge.token(&[&basic(id, secret)], &form);
        let words = answer.refused(401, "invalid_client");
        assert!(words.contains("not one that this bridge has"), "{words}");
        assert!(!answer.header("www-authenticate").is_empty());
        bridge
            .token(&[], &[&form[..], &[("client_id", id)]].concat())
            .refused(401, "invalid_client");
    }
    let own = basic(id, secret);
    // With another grant its secret would go to Coze.
    for more in [
        &[("grant_type", "refresh_token"), ("refresh_token", "r")][..],
        &[
            ("grant_type", "authorization_code"),
            ("code", "c"),
            ("redirect_uri", REDIRECT),
        ],
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", "d"),
        ],
    ] {
        let in_body = [more, &[("client_id", id), ("client_secret", secret)]].concat();
        for answer in [bridge.token(&[&own], more), bridge.token(&[], &in_body)] {
            let words = answer.refused(400, "unauthorized_client");
            assert!(words.contains("client_credentials alone"), "{words}");
        }
    }
    for (name, value, says) in [
        ("session_name", "a\u{1b}", "session name"),
        ("duration_seconds", "0", "from 1 to 86399"),
        ("duration_seconds", "86400", "from 1 to 86399"),
        ("duration_seconds", "soon", "from 1 to 86399"),
    ] {
        let words = bridge
            .token(&[&own], &[form[0], (name, value)])
            .refused(400, "invalid_request");
        assert!(words.contains(says), "{words}");
    }
    assert_eq!(home.mock.requests().len(), 0, "nothing was signed");
    let granted = bridge.token(
        &[&own],
        &[
            form[0],
            ("duration_seconds", "60"),
            ("scope", "Connector.botChat listWorkspace"),
        ],
    );
    assert_eq!(granted.status, 200, "{granted:?}");
    assert!((55..=60).contains(&granted.json()["expires_in"].as_u64().expect("a number")));
    let sent = &home.mock.requests()[0];
    let permissions = ["Connector.botChat", "listWorkspace"];
    let scope = serde_json::json!({ "account_permission": { "permission_list": permissions } });
    assert_eq!(sent.json.as_ref().expect("JSON")["scope"], scope);
}

#[test]
fn a_browser_is_sent_to_the_configured_www_host_alone() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let page = format!("{}/api/permission/oauth2/authorize?", home.mock.base_url());
    let ask = |query: &str| bridge.get(&format!("/authorize?{query}"), &[]);
    let good = ask(
        "state=a%20%26b&scope=openid&client_id=1&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code&nonce=n&code_challenge=c",
    );
    let carried = "response_type=code&client_id=1&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=a+%26b&code_challenge=c";
    assert_eq!(
        (good.status, good.header("location")),
        (302, &*format!("{page}{carried}"))
    );
    assert_eq!(good.header("cache-control"), "no-store");
    assert_eq!(good.header("referrer-policy"), "no-referrer");
    let limited =
        ask("client_id=1&redirect_uri=https%3A%2F%2Fa&response_type=code&workspace_id=ws-1");
    let page = format!(
        "{}/api/permission/oauth2/workspace_id/ws-1/authorize?",
        home.mock.base_url()
    );
    assert!(limited.header("location").starts_with(&page), "{limited:?}");
    for (query, says) in [
        ("", "response_type is missing"),
        ("response_type=code", "client_id is missing"),
        ("response_type=code&client_id=1", "redirect_uri is missing"),
        (
            "response_type=token&client_id=1&redirect_uri=a",
            "unsupported_response_type",
        ),
        (
            "response_type=code&client_id=1&redirect_uri=a&client_secret=s",
            "a client secret",
        ),
        (
            "response_type=code&client_id=1&redirect_uri=a&workspace_id=..%2F..",
            "workspace id",
        ),
        // A state that comes back as another one is refused by the client, after the login.
        (
            "response_type=code&client_id=1&redirect_uri=a&state=%ff",
            "the parameter state is not UTF-8",
        ),
        (
            "response_type=code&client_id=1&redirect_uri=a%e6%89",
            "the parameter redirect_uri is not UTF-8",
        ),
    ] {
        let refused = ask(query);
        assert_eq!(
            (refused.status, refused.header("location")),
            (400, ""),
            "{query}"
        );
        assert_eq!(refused.header("content-type"), "text/plain; charset=utf-8");
        assert!(refused.body.contains(says), "{refused:?}");
    }
}
