//! Requests of the application's own: what is renewed and sent again, and what is not.

use coze_auth_conformance::Fixture;
use coze_auth_core::error::ErrorCode;
use coze_auth_core::jwt::JwtGrant;
use coze_auth_mock::{On, fingerprint};
use coze_auth_tokens::{Error, Obstacle};

use crate::over_each;
use crate::support::{Login, RawSocket, seconds};
use crate::transports::Tokens;

over_each! {
    a_good_token_is_sent_once,
    a_refused_token_is_renewed_and_sent_again,
    a_post_is_not_sent_again,
    a_post_that_may_be_repeated_is,
    a_missing_permission_is_no_bad_token,
    a_token_of_the_console_is_not_renewed,
    an_answer_that_refuses_every_token_ends,
    a_token_stays_with_its_origin,
    who_the_tokens_speak_for,
    whoami_renews_a_refused_token_and_asks_again,
    whoami_gives_the_refusal_of_a_token_that_is_not_renewed,
    whoami_of_a_missing_permission_changes_nothing,
    whoami_ends_where_every_token_is_refused,
    the_clients_own_error_is_the_requests,
}

fn me(fixture: &Fixture<RawSocket>) -> String {
    format!("{}/v1/users/me", fixture.mock.base_url())
}

fn revoke<T: Tokens>(login: &Login<T>) {
    let token = login.token();
    assert!(login.fixture.mock.revoke(&token));
}

/// Takes a permission from a token.
fn restrict<T: Tokens>(login: &Login<T>, token: &str) {
    let request = coze_auth_core::http::Request::post("/_mock/v1/tokens/restrict")
        .header("Host", "localhost")
        .body(format!(r#"{{"token":"{token}"}}"#).into())
        .expect("a request");
    assert_eq!(login.fixture.mock.call_blocking(request).status(), 200);
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
        restrict(&login, &token);
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

fn who_the_tokens_speak_for<T: Tokens>() {
    let login = Login::<T>::new();
    let user = login.tokens.whoami().expect("a user");
    assert_eq!(user.user_name, "alice");
    assert_eq!(login.fixture.saw(), ["users_me 200"]);
    // A session asks with a token of its own.
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let session = tokens.session("user-42").expect("a session");
    session.whoami().expect("a user");
    assert_eq!(fixture.saw(), ["token jwt_bearer 200", "users_me 200"]);
    let presented = fixture.mock.requests()[1].presented.clone();
    let token = session.token().expect("a token");
    assert_eq!(presented, Some(fingerprint(token.expose())));
}

/// Under each code, and under 200 too, as for `send`.
fn whoami_renews_a_refused_token_and_asks_again<T: Tokens>() {
    for (status, code) in [(401, "4100"), (200, "4100"), (200, "700012006")] {
        let login = Login::<T>::with(|mock| mock.answer("token.revoked", status, Some(code)));
        revoke(&login);
        let user = login.tokens.whoami().expect("a user");
        assert_eq!(user.user_name, "alice");
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

fn whoami_gives_the_refusal_of_a_token_that_is_not_renewed<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let pat = fixture.token("pat");
    let tokens = T::fixed(&fixture.clock, &fixture.endpoints(), pat.clone());
    assert!(fixture.mock.revoke(pat.expose()));
    let error = tokens.whoami().expect_err("refused");
    assert_eq!(error.code(), Some(&ErrorCode::Number(4100)));
    assert_eq!(fixture.saw(), ["users_me 401 4100 token.revoked"]);
}

fn whoami_of_a_missing_permission_changes_nothing<T: Tokens>() {
    let login = Login::<T>::with(|mock| mock.answer("token.permission", 401, Some("4101")));
    let token = login.token();
    restrict(&login, &token);
    let error = login.tokens.whoami().expect_err("refused");
    assert_eq!(error.code(), Some(&ErrorCode::Number(4101)));
    assert_eq!(login.refreshes(), (0, 0));
    assert_eq!(login.token(), token);
}

fn whoami_ends_where_every_token_is_refused<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let refused = coze_auth_mock::Fault::status(401);
    let _always = fixture.mock.fault(On::endpoint("users_me"), refused);
    let error = tokens.whoami().expect_err("refused");
    assert_eq!(error.retry(), coze_auth_core::Retry::Never, "{error}");
    let asked = fixture.saw();
    assert_eq!(
        asked.len(),
        4,
        "one renewal, and asked once more: {asked:?}"
    );
}

/// The connection is refused: the application's own request fails with its client's error, and a person can read why.
fn the_clients_own_error_is_the_requests<T: Tokens>() {
    let clock = coze_auth_conformance::SharedClock::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let endpoints = coze_auth_core::Endpoints::custom(&base).expect("a base");
    let token = coze_auth_core::AccessToken::new("pat_SENTINEL").expect("a token");
    let tokens = T::fixed(&clock, &endpoints, token);
    let error = tokens.send("GET", &format!("{base}/v1/users/me?code=SENTINEL"), false);
    let error = error.expect_err("nobody listens");
    let Error::Request(cause) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(cause.obstacle(), Obstacle::Refused, "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
    let error = tokens.whoami().expect_err("nobody listens");
    let text = error.to_string();
    assert!(text.contains("the connection was refused"), "{text}");
    assert!(!text.contains("SENTINEL"), "{text}");
}
