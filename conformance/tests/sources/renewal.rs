//! When a token is renewed, and what callers get meanwhile.

use coze_auth_conformance::Fixture;
use coze_auth_core::jwt::JwtGrant;
use coze_auth_mock::{AppKind, At, On};
use coze_auth_store::GrantStore as _;
use coze_auth_tokens::Error;

use crate::over_each;
use crate::support::{EARLY, LIFE, Login, PATIENCE, RawSocket, key, seconds, while_held};
use crate::transports::{Attohttpc, OnThreads, Tokens, Ureq};

over_each! {
    fixed_is_itself,
    fresh_needs_no_request,
    stale_is_served_while_one_renews,
    stale_can_be_waited_for,
    a_failed_early_renewal_costs_nothing,
    ended_waits_for_the_renewal,
    a_token_with_less_left_is_renewed_first,
    more_than_tokens_live_for_is_one_renewal_a_minute,
    jwt_asks_anew,
    jwt_tries_again_with_another_assertion,
    sessions_have_tokens_of_their_own,
    sessions_end_with_their_source_and_not_the_other_way_round,
    a_month_of_tokens,
    closing_waits_for_what_runs,
    closed_gives_none,
}

fn fixed_is_itself<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let pat = fixture.token("pat");
    let tokens = T::fixed(&fixture.clock, &fixture.endpoints(), pat.clone());
    fixture.clock.advance(seconds(365 * 86_400));
    let forever = tokens.token_valid_for(seconds(u64::MAX));
    assert_eq!(forever.expect("a token").expires_at, None);
    tokens.invalidate(&pat);
    assert!(tokens.token().expect("a token").matches(&pat));
    assert!(matches!(tokens.forget(), Err(Error::NotALogin)));
    assert!(fixture.saw().is_empty());
}

fn fresh_needs_no_request<T: Tokens>() {
    let login = Login::<T>::new();
    let first = login.token();
    login.fixture.clock.advance(LIFE - EARLY - seconds(1));
    assert_eq!(login.token(), first);
    assert!(login.fixture.saw().is_empty());
}

fn stale_is_served_while_one_renews<T: Tokens>() {
    let login = Login::<T>::new();
    let old = login.token();
    login.fixture.clock.advance(LIFE - EARLY);
    let gate = login.hold(At::Request);
    // Held, and still everyone has the old token at once: the one who began it, and those after.
    for _ in 0..3 {
        assert_eq!(login.token(), old);
    }
    assert!(gate.arrived_blocking(1, PATIENCE));
    assert_eq!(login.token(), old);
    gate.open();
    login.tokens.close().expect("it was stored");
    assert_eq!(login.refreshes(), (1, 1), "one renewal ran behind");
    let renewed = login.another().token().expect("a token");
    assert_ne!(renewed.expose(), old);
    assert_eq!(login.refreshes(), (1, 1), "and was stored");
}

fn stale_can_be_waited_for<T: Tokens>() {
    let login = Login::<T>::new();
    let old = login.token();
    login.fixture.clock.advance(LIFE - EARLY);
    let waits = login.tokens.clone().wait_when_stale();
    assert_ne!(waits.token().expect("a token").expose(), old);
    assert_eq!(login.refreshes(), (1, 1));
}

fn a_token_with_less_left_is_renewed_first<T: Tokens>() {
    let login = Login::<T>::new();
    let old = login.token();
    login.fixture.clock.advance(seconds(300));
    let asks = |at_least| login.tokens.token_valid_for(at_least).expect("a token");
    for at_least in [seconds(0), LIFE - seconds(300)] {
        let token = asks(at_least);
        assert_eq!(token.access_token.expose(), old);
        assert_eq!(token.expires_at, Some(login.stored().expires_at));
    }
    assert_eq!(login.refreshes(), (0, 0), "enough is left");
    let renewed = asks(LIFE - seconds(299));
    assert_ne!(renewed.access_token.expose(), old);
    assert_eq!(login.refreshes(), (1, 1));
    let json = renewed.to_secret_json();
    let refresh = login.stored().refresh_token.expect("a refresh token");
    assert!(json.expose().contains(renewed.access_token.expose()));
    assert!(
        !json.expose().contains(refresh.expose()),
        "for the end user"
    );
    // Refused: the one there is stays for who asks for less.
    login.fixture.clock.advance(seconds(300));
    login.revoke_refresh_token();
    let error = login.tokens.token_valid_for(LIFE - EARLY);
    let error = error.expect_err("it cannot be renewed");
    assert!(matches!(error, Error::RefreshRefused(_)), "{error}");
    assert_eq!(login.token(), renewed.access_token.expose());
}

/// The default life of a JWT app's token is a quarter of an hour.
fn more_than_tokens_live_for_is_one_renewal_a_minute<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    for _ in 0..20 {
        tokens.token_valid_for(seconds(3_600)).expect("a token");
        fixture.clock.advance(seconds(10));
    }
    assert_eq!(fixture.saw().len(), 3, "in 200 s");
}

fn a_failed_early_renewal_costs_nothing<T: Tokens>() {
    let login = Login::<T>::new();
    let old = login.token();
    login.revoke_refresh_token();
    login.fixture.clock.advance(LIFE - EARLY);
    let waits = login.tokens.clone().wait_when_stale();
    assert_eq!(waits.token().expect("the old one").expose(), old);
    assert_eq!(login.refreshes(), (1, 0), "it was refused");
    login.fixture.clock.advance(EARLY - seconds(1));
    assert_eq!(login.token(), old, "to its last second");
    login.fixture.clock.advance(seconds(1));
    let error = login.tokens.token().expect_err("it has ended");
    assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
}

fn ended_waits_for_the_renewal<T: Tokens>() {
    let login = Login::<T>::new();
    let old = login.token();
    login.fixture.clock.advance(LIFE);
    let (one, other) = (login.tokens.clone(), login.tokens.clone());
    let gate = login.hold(At::Answer);
    let (first, second) = while_held(
        gate,
        move || one.token().expect("a token"),
        |_| std::thread::spawn(move || other.token().expect("a token")),
    );
    let second = second.join().expect("it ends");
    assert!(first.matches(&second));
    assert_ne!(first.expose(), old);
    assert!(login.stored().access_token.matches(&first));
    assert_eq!(login.refreshes(), (1, 1));
}

fn jwt_asks_anew<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let first = tokens.token().expect("a token");
    assert!(tokens.token().expect("a token").matches(&first));
    fixture.clock.advance(LIFE);
    assert!(!tokens.token().expect("a token").matches(&first));
    assert_eq!(
        fixture.saw(),
        ["token jwt_bearer 200", "token jwt_bearer 200"]
    );
}

/// The first answer is lost. The assertion in it is spent, so the second try has another.
fn jwt_tries_again_with_another_assertion<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::with(|mock| {
        let code = Some("internal_error");
        mock.answer("client.enabled", 503, code)
    });
    let client_id = disable(&fixture, AppKind::Jwt, true);
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let gate = fixture.mock.gate("first", On::token(), At::Answer);
    let (token, ()) = while_held(
        gate,
        {
            let tokens = tokens.clone();
            move || tokens.token()
        },
        |_| {
            disable(&fixture, AppKind::Jwt, false);
        },
    );
    fixture.prove_token(&token.expect("a token"));
    let jtis: Vec<_> = fixture
        .mock
        .requests()
        .iter()
        .filter_map(|entry| entry.jwt.as_ref().map(|jwt| jwt.payload["jti"].to_string()))
        .collect();
    assert_eq!(jtis.len(), 2, "{client_id} was asked twice");
    assert_eq!(fixture.clock.sleeps(), [seconds(1)]);
    assert_eq!(
        fixture.saw(),
        [
            "token jwt_bearer 503 internal_error client.enabled",
            "token jwt_bearer 200",
            "users_me 200"
        ]
    );
}

fn sessions_have_tokens_of_their_own<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let of = |name: &str| {
        let session = tokens.session(name).expect("a session");
        session.token().expect("a token").expose().to_owned()
    };
    let (one, other) = (of("user-1"), of("user-2"));
    assert_ne!(one, other);
    assert_eq!(of("user-1"), one, "kept");
    assert_eq!(fixture.saw().len(), 2);
    let requests = fixture.mock.requests();
    let names: Vec<_> = requests
        .iter()
        .map(|entry| &entry.jwt.as_ref().expect("an assertion").payload["session_name"])
        .collect();
    assert_eq!(names, ["user-1", "user-2"]);
    assert!(tokens.session("").is_err(), "a nameless one mixes users up");
    let fixed = T::fixed(&fixture.clock, &fixture.endpoints(), fixture.token("pat"));
    assert!(matches!(
        fixed.session("user-1").err(),
        Some(Error::NotAJwtApp)
    ));
}

fn sessions_end_with_their_source_and_not_the_other_way_round<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let (one, other) = (
        tokens.session("user-1").expect("a session"),
        tokens.session("user-2").expect("a session"),
    );
    one.token().expect("a token");
    other.token().expect("a token");
    one.close().expect("nothing runs");
    assert!(matches!(one.token(), Err(Error::Closed)));
    assert!(other.token().is_ok() && tokens.token().is_ok());
    assert!(
        tokens.session("user-1").expect("a session").token().is_ok(),
        "made anew"
    );
    tokens.close().expect("nothing runs");
    assert!(matches!(other.token(), Err(Error::Closed)));
    assert!(matches!(
        tokens.session("user-3").err(),
        Some(Error::Closed)
    ));
}

/// Longer than any refresh token lives.
fn a_month_of_tokens<T: Tokens>() {
    let login = Login::<T>::new();
    for _ in 0..31 * 24 {
        login.fixture.clock.advance(seconds(3_600));
        login.token();
    }
    assert_eq!(login.refreshes(), (31 * 24, 31 * 24));
    login
        .fixture
        .prove_token(&login.tokens.token().expect("a token"));
}

fn closing_waits_for_what_runs<T: Tokens>() {
    let login = Login::<T>::new();
    login.fixture.clock.advance(LIFE - EARLY);
    let before = login.stored().refresh_token.expect("a refresh token");
    let gate = login.hold(At::Answer);
    login.token();
    assert!(gate.arrived_blocking(1, PATIENCE));
    let closes = login.tokens.clone();
    let closing = std::thread::spawn(move || closes.close());
    // Rotated at the server, not here yet, and the one who closes waits.
    assert!(!closing.is_finished());
    gate.open();
    closing.join().expect("it ends").expect("stored");
    let after = login.stored().refresh_token.expect("a refresh token");
    assert!(!after.matches(&before));
}

fn closed_gives_none<T: Tokens>() {
    let login = Login::<T>::new();
    login.token();
    let clone = login.tokens.clone();
    login.tokens.close().expect("nothing runs");
    assert!(matches!(clone.token(), Err(Error::Closed)));
    login.fixture.clock.advance(LIFE);
    assert!(matches!(clone.token(), Err(Error::Closed)));
    assert!(login.fixture.saw().is_empty());
}

/// Blocking: who drops the last clone waits, since nobody could be told of a renewal that was lost.
#[test]
fn dropping_the_last_clone_waits_for_what_runs() {
    the_drop_waits::<OnThreads<Ureq>>();
    the_drop_waits::<OnThreads<Attohttpc>>();
}

fn the_drop_waits<T: Tokens>() {
    let login = Login::<T>::new();
    let before = login.stored().refresh_token.expect("a refresh token");
    login.fixture.clock.advance(LIFE - EARLY);
    let gate = login.hold(At::Answer);
    login.token();
    assert!(gate.arrived_blocking(1, PATIENCE));
    let Login {
        fixture,
        store,
        tokens,
    } = login;
    drop(tokens.clone());
    let (dropped, drops) = std::sync::mpsc::channel();
    let dropping = std::thread::spawn(move || {
        drop(tokens);
        let after = store.load(&key(&fixture)).expect("it can be read");
        dropped.send(()).expect("it is waited for");
        after.expect("a grant")
    });
    assert!(drops.try_recv().is_err());
    gate.open();
    let after = dropping.join().expect("it ends");
    assert!(
        !after.refresh_token.expect("one").matches(&before),
        "stored before the drop ended"
    );
}

/// Async: it is made outside of any runtime, and nothing runs until somebody asks.
#[test]
fn a_source_is_made_without_a_runtime() {
    let fixture = Fixture::<RawSocket>::new();
    let client = coze_auth_reqwest::Client::new().expect("a client");
    let source = coze_auth_reqwest::TokenSource::jwt(&client, fixture.jwt(), JwtGrant::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let running = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        assert_eq!(running, 0, "no task yet");
    });
    assert!(fixture.saw().is_empty());
    // Without one, it says so to whoever asks, and nobody else is the worse for it.
    drop(runtime);
    let asked = std::pin::pin!(source.token());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = asked.poll(&mut context) else {
        panic!("it waits for a runtime that is not there");
    };
    assert!(matches!(answer, Err(Error::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let token = runtime.expect("a runtime").block_on(source.token());
    fixture.prove_token(&token.expect("a token"));
}

/// Switches the ready-made app of a kind off or on, as its owner would in the console.
fn disable(fixture: &Fixture<RawSocket>, kind: AppKind, off: bool) -> String {
    let app = fixture.mock.app(kind).expect("an app");
    let client_id = app.client_id().to_owned();
    let request = coze_auth_core::http::Request::post(format!("/_mock/v1/apps/{client_id}"))
        .header("Host", "localhost")
        .body(format!(r#"{{"enabled":{}}}"#, !off).into())
        .expect("a request");
    assert_eq!(fixture.mock.call_blocking(request).status(), 200);
    client_id
}
