//! Refused refreshes: what a spent refresh token is refused with is not known (protocol §14), so each of the
//! codes that it may be has an outcome.

use coze_auth_core::Retry;
use coze_auth_core::error::ErrorCode;
use coze_auth_tokens::Error;

use crate::over_each;
use crate::support::{LIFE, Login, refused, seconds};
use crate::transports::Tokens;

over_each! {
    invalid_grant,
    invalid_request,
    invalid_client,
    another_process_has_the_next_token,
    a_login_mends_it,
    a_passing_refusal_is_tried_again,
}

fn with_code<T: Tokens>(status: u16, code: &str) -> Login<T> {
    let login = Login::<T>::with(|mock| mock.answer("refresh.revoked", status, Some(code)));
    login.revoke_refresh_token();
    login.fixture.clock.advance(LIFE);
    login
}

fn fails<T: Tokens>(login: &Login<T>) -> Error {
    let error = login.tokens.token().expect_err("refused");
    assert_eq!(error.retry(), Retry::Never);
    error
}

/// The refresh token is dropped: no other request is made with it, and a person is asked for.
fn invalid_grant<T: Tokens>() {
    let login = with_code::<T>(400, "invalid_grant");
    let error = fails(&login);
    assert_eq!(*refused(&error), ErrorCode::InvalidGrant);
    assert!(error.needs_login());
    let text = error.to_string();
    assert_eq!(text.matches("log in again").count(), 1, "{text}");
    assert_eq!(error.log_id(), Some(&*login.fixture.last().outcome.logid));
    assert_eq!(
        *refused(&fails(&login)),
        ErrorCode::InvalidGrant,
        "told again"
    );
    for _ in 0..10 {
        login.fixture.clock.advance(seconds(61));
        let error = fails(&login);
        assert!(matches!(&error, Error::LoginNeeded(key) if key.subject() == "alice"));
        assert!(error.needs_login());
        let base = login.fixture.mock.base_url();
        assert_eq!(
            error.to_string(),
            format!(
                "alice must log in to {base} with app 11111111111111111111111111111111.app.coze: \
                 the store has no grant, or none that can be renewed any more"
            )
        );
    }
    assert_eq!(login.refreshes(), (1, 0));
}

/// The refresh token is kept, and tried again after pauses that grow.
fn kept<T: Tokens>(status: u16, code: &str) {
    let login = with_code::<T>(status, code);
    let mut requests = 0;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        let error = fails(&login);
        requests += 1;
        assert_eq!(refused(&error).to_string(), code);
        let text = error.to_string();
        assert!(
            text.contains("; log in again, or check client id and secret"),
            "{text}"
        );
        assert_eq!(login.refreshes(), (requests, 0));
        login.fixture.clock.advance(seconds(pause) - seconds(1));
        fails(&login);
        assert_eq!(
            login.refreshes(),
            (requests, 0),
            "within the pause of {pause} s"
        );
        login.fixture.clock.advance(seconds(1));
    }
}

fn invalid_request<T: Tokens>() {
    kept::<T>(400, "invalid_request");
}

fn invalid_client<T: Tokens>() {
    kept::<T>(401, "invalid_client");
}

/// Whatever the refusal: the store is read again, and its other refresh token is used.
fn another_process_has_the_next_token<T: Tokens>() {
    for (status, code) in [
        (400, "invalid_grant"),
        (400, "invalid_request"),
        (401, "invalid_client"),
    ] {
        let login = Login::<T>::with(|mock| mock.answer("refresh.rotate", status, Some(code)));
        // Another process renews, without the lock that it should have held, while this one asks.
        let store = crate::stores::Elsewhere::new(&login);
        let tokens = T::stored(&login.fixture.clock, login.fixture.web(), store);
        let token = tokens.token().expect("the other's grant was found");
        assert_eq!(
            login.fixture.saw(),
            [
                "token refresh_token 200".to_owned(),
                format!("token refresh_token {status} {code} refresh.rotate"),
            ],
            "the other's, and this one's with the old token"
        );
        login.fixture.prove_token(&token);

        // Its access token has ended too: then it is renewed, with the refresh token that was found.
        let login = Login::<T>::with(|mock| mock.answer("refresh.rotate", status, Some(code)));
        let store = crate::stores::Elsewhere::new(&login);
        let tokens = T::stored(&login.fixture.clock, login.fixture.web(), store);
        login.fixture.clock.advance(LIFE);
        let token = tokens.token().expect("renewed");
        assert_eq!(login.refreshes(), (3, 2));
        login.fixture.prove_token(&token);
    }
}

/// A login in another process is found in the store, and in this one it counts at once.
fn a_login_mends_it<T: Tokens>() {
    let login = with_code::<T>(400, "invalid_grant");
    fails(&login);
    login
        .another()
        .install(login.fixture.web_login())
        .expect("stored");
    login.fixture.clock.advance(seconds(61));
    login
        .fixture
        .prove_token(&login.tokens.token().expect("the other's login"));

    let login = with_code::<T>(400, "invalid_grant");
    fails(&login);
    login
        .tokens
        .install(login.fixture.web_login())
        .expect("stored");
    login
        .fixture
        .prove_token(&login.tokens.token().expect("this login"));
}

/// Trouble that passes is tried once more before anyone is told.
fn a_passing_refusal_is_tried_again<T: Tokens>() {
    let login = Login::<T>::with(|mock| mock.answer("refresh.revoked", 429, Some("4008")));
    login.revoke_refresh_token();
    login.fixture.clock.advance(LIFE);
    let error = login.tokens.token().expect_err("refused twice");
    assert_eq!(*refused(&error), ErrorCode::Number(4008));
    assert_eq!(login.refreshes(), (2, 0));
    assert_eq!(login.fixture.clock.sleeps(), [seconds(1)]);
    assert!(matches!(error.retry(), Retry::After(_)));
}
