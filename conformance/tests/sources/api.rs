//! Requests of the application's own: what is renewed and sent again, and what is not.

use coze_auth_conformance::Fixture;
use coze_auth_core::jwt::JwtGrant;
use coze_auth_tokens::Error;

use crate::adapters::Tokens;
use crate::over_both;
use crate::support::{Login, RawSocket, seconds};

over_both! {
    a_good_token_is_sent_once,
    a_refused_token_is_renewed_and_sent_again,
    a_post_is_not_sent_again,
    a_post_that_may_be_repeated_is,
    a_missing_permission_is_no_bad_token,
    a_token_of_the_console_is_not_renewed,
    an_answer_that_refuses_every_token_ends,
    a_token_stays_with_its_origin,
}

fn me(fixture: &Fixture<RawSocket>) -> String {
    format!("{}/v1/users/me", fixture.mock.base_url())
}

fn revoke<T: Tokens>(login: &Login<T>) {
    let token = login.token();
    assert!(login.fixture.mock.revoke(&token));
}

fn a_good_token_is_sent_once<T: Tokens>() {
    let login = Login::<T>::new();
    let (status, body) = login
        .tokens
        .send("GET", &me(&login.fixture), false)
        .expect("an answer");
    assert_eq!(status, 200);
    assert!(body.contains(r#""user_name":"alice""#), "{body}");
    assert_eq!(login.fixture.saw(), ["users_me 200"]);
}

/// Under each code, and under 200 too (protocol §4.1, F4).
fn a_refused_token_is_renewed_and_sent_again<T: Tokens>() {
    for (status, code) in [
        (401, "4100"),
        (401, "700012006"),
        (200, "4100"),
        (200, "700012006"),
    ] {
        let login = Login::<T>::with(|mock| mock.answer("token.revoked", status, Some(code)));
        revoke(&login);
        let (answered, body) = login
            .tokens
            .send("GET", &me(&login.fixture), false)
            .expect("an answer");
        assert_eq!(answered, 200);
        assert!(body.contains(r#""user_name":"alice""#), "{body}");
        assert_eq!(
            login.fixture.saw(),
            [
                format!("users_me {status} {code} token.revoked"),
                "token refresh_token 200".to_owned(),
                "users_me 200".to_owned(),
            ]
        );
    }
}

/// The path takes GET only, so a POST is refused by its method with a good token; with a bad one the mock would say
/// so first, if it looked. What counts is how often it was sent.
fn a_post_is_not_sent_again<T: Tokens>() {
    let login = Login::<T>::with(|mock| mock.answer("path.method", 401, Some("4100")));
    let first = login.token();
    let (status, body) = login
        .tokens
        .send("POST", &me(&login.fixture), false)
        .expect("an answer");
    assert_eq!(status, 401);
    assert!(body.contains("4100"), "handed back as it came: {body}");
    assert_eq!(login.fixture.saw(), ["users_me 401 4100 path.method"]);
    // But the token is not handed out again.
    assert_ne!(login.token(), first);
}

fn a_post_that_may_be_repeated_is<T: Tokens>() {
    let login = Login::<T>::with(|mock| mock.answer("path.method", 401, Some("4100")));
    let (status, _) = login
        .tokens
        .send("POST", &me(&login.fixture), true)
        .expect("an answer");
    assert_eq!(
        status, 401,
        "the second answer is handed back, whatever it is"
    );
    let refused = "users_me 401 4100 path.method";
    assert_eq!(
        login.fixture.saw(),
        [refused, "token refresh_token 200", refused]
    );
}

/// 4101 is about a permission, which another token of the same grant would lack as well.
fn a_missing_permission_is_no_bad_token<T: Tokens>() {
    for status in [403, 200, 401] {
        let login = Login::<T>::with(|mock| mock.answer("token.permission", status, Some("4101")));
        let token = login.token();
        let request = coze_auth_core::http::Request::post("/_mock/v1/tokens/restrict")
            .header("Host", "localhost")
            .body(format!(r#"{{"token":"{token}"}}"#).into())
            .expect("a request");
        assert_eq!(login.fixture.mock.call_blocking(request).status(), 200);
        let (answered, body) = login
            .tokens
            .send("GET", &me(&login.fixture), false)
            .expect("an answer");
        assert_eq!(answered, status);
        assert!(body.contains("4101"), "{body}");
        assert_eq!(login.refreshes(), (0, 0));
        assert_eq!(login.token(), token);
    }
}

fn a_token_of_the_console_is_not_renewed<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let pat = fixture.token("pat");
    let tokens = T::fixed(&fixture.clock, &fixture.endpoints(), pat.clone());
    assert!(fixture.mock.revoke(pat.expose()));
    let (status, body) = tokens.send("GET", &me(&fixture), false).expect("an answer");
    assert_eq!(status, 401);
    assert!(body.contains("4100"), "{body}");
    assert_eq!(fixture.saw(), ["users_me 401 4100 token.revoked"]);
}

/// A gateway that says 401 to everything: one renewal in half a minute, not one a request.
fn an_answer_that_refuses_every_token_ends<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::with(|mock| mock.answer("path.known", 401, Some("4100")));
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let url = format!("{}/v1/nothing", fixture.mock.base_url());
    for _ in 0..10 {
        let (status, _) = tokens.send("GET", &url, false).expect("an answer");
        assert_eq!(status, 401);
        fixture.clock.advance(seconds(1));
    }
    let grants = fixture
        .saw()
        .iter()
        .filter(|line| line.starts_with("token"))
        .count();
    assert_eq!(grants, 2, "the first, and one in its place");
    let sent = fixture.mock.requests().len() - grants;
    assert_eq!(sent, 11, "not again with the token that was refused");
}

fn a_token_stays_with_its_origin<T: Tokens>() {
    let login = Login::<T>::new();
    let base = login.fixture.mock.base_url();
    for elsewhere in [
        "https://evil.example/v1/users/me".to_owned(),
        // The same machine and another port, the same name and another scheme.
        "http://127.0.0.1:9/v1/users/me".to_owned(),
        base.replace("http://", "https://"),
        base.replace("127.0.0.1", "localhost"),
    ] {
        let error = login
            .tokens
            .send("GET", &elsewhere, false)
            .expect_err("it was not sent");
        let Error::OtherOrigin { to, api } = &error else {
            panic!("{error}");
        };
        let authorized = login.tokens.authorize(&elsewhere);
        assert!(matches!(authorized, Err(Error::OtherOrigin { .. })));
        assert!(elsewhere.starts_with(to.as_str()), "{to}");
        assert_eq!(api, base);
    }
    let authorized = login.tokens.authorize(&me(&login.fixture));
    assert!(authorized.expect("its own").contains(&login.token()));
    assert!(login.fixture.saw().is_empty());
}
