//! Web apps: authorization code with a client secret (protocol §2.2, §2.4).

use std::time::Duration;

use coze_auth_core::ClientSecret;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::error::{CallbackError, ErrorCode};
use coze_auth_core::web::WebApp;

use crate::{Stage, Subject};

/// A login from the link to a token that opens the API.
pub fn login<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.browser(&url, true);
    let grant = stage
        .run(app.exchange(pending, &callback).expect("our state"))
        .expect("a grant");
    stage.prove(&grant);
    assert!(grant.refresh_token.is_some());
    assert_eq!(
        grant.remaining(stage.clock.now().unix),
        Duration::from_secs(900),
        "protocol §3.4"
    );
    assert_eq!(
        stage.saw(),
        [
            "authorize 302",
            "token authorization_code 200",
            "users_me 200"
        ]
    );
}

/// A login limited to one workspace.
pub fn login_in_a_workspace<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let workspace = WorkspaceId::new("ws_a").expect("an id");
    let (url, pending) = app
        .authorize_in(&workspace, &stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.browser(&url, true);
    assert!(
        stage
            .last()
            .path
            .starts_with("/api/permission/oauth2/workspace_id/ws_a/authorize?")
    );
    stage.prove(
        &stage
            .run(app.exchange(pending, &callback).expect("our state"))
            .expect("a grant"),
    );
}

/// A page with a hash router registers a redirect URI with a `#`; Coze asks for `%23` in the link (protocol §2.2).
pub fn login_to_a_fragment<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let redirect = RedirectUri::new("http://localhost:8080/#/cb").expect("a URL");
    let (url, pending) = app.authorize(&redirect, stage.entropy()).expect("a URL");
    assert!(
        !url.as_str().contains('#') && url.as_str().contains("%23"),
        "{url}"
    );
    let back = stage
        .mock
        .authorize(url.as_str(), true)
        .unwrap_or_else(|refused| panic!("{refused}"));
    let callback = Callback::parse(&back).expect("a callback");
    stage.prove(
        &stage
            .run(app.exchange(pending, &callback).expect("our state"))
            .expect("a grant"),
    );
}

/// The person refuses; nothing is exchanged.
pub fn denied<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let rejected = app
        .exchange(pending, &stage.browser(&url, false))
        .expect_err("refused");
    assert!(
        matches!(
            rejected.error,
            CallbackError::Refused {
                code: ErrorCode::AccessDenied,
                ..
            }
        ),
        "{rejected}"
    );
    assert_eq!(stage.saw(), ["authorize 302"]);
}

/// A wrong secret is refused, and neither secret nor code gets into the error.
pub fn wrong_secret<S: Subject>(stage: &Stage<S>) {
    let (url, pending) = stage
        .web()
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.browser(&url, true);
    let id = "11111111111111111111111111111111.app.coze";
    let secret = ClientSecret::new("not-the-secret").expect("a secret");
    let app = WebApp::new(stage.endpoints(), id, secret).expect("an app");
    let result = stage.run(app.exchange(pending, &callback).expect("our state"));
    let shown = format!("{result:?} {}", result.as_ref().unwrap_err());
    assert!(
        !shown.contains("not-the-secret") && !shown.contains("code_"),
        "a secret in the error: {shown}"
    );
    stage.refused(result, "invalid_client", "client.secret");
}

/// A stray callback does not burn the login.
pub fn stray_callback_first<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let (other_url, _) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let rejected = app
        .exchange(pending, &stage.browser(&other_url, true))
        .expect_err("another's callback");
    assert_eq!(rejected.error, CallbackError::StateMismatch);
    assert_eq!(
        stage.saw(),
        ["authorize 302"],
        "nothing must be sent for another's callback"
    );
    let pending = *rejected.pending.expect("still good");
    let callback = stage.browser(&url, true);
    stage.prove(
        &stage
            .run(app.exchange(pending, &callback).expect("our state"))
            .expect("a grant"),
    );
}

/// An authorization code works once.
pub fn code_used_twice<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.browser(&url, true);
    stage
        .run(app.exchange(pending.clone(), &callback).expect("our state"))
        .expect("a grant");
    let again = stage.run(app.exchange(pending, &callback).expect("our state"));
    stage.refused(again, "invalid_grant", "code.single_use");
}

/// An authorization code does not live long.
pub fn code_expired<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.browser(&url, true);
    stage.clock.advance(Duration::from_secs(3600));
    let result = stage.run(app.exchange(pending, &callback).expect("our state"));
    stage.refused(result, "invalid_grant", "code.expiry");
}

/// A code belongs to the app that asked for it: another's is refused, here and by the server.
pub fn code_of_another_app<S: Subject>(stage: &Stage<S>) {
    let (url, pending) = stage
        .web()
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.browser(&url, true);
    let rejected = stage
        .pkce()
        .exchange(pending, &callback)
        .expect_err("another app's login");
    assert_eq!(rejected.error, CallbackError::OtherApp);
    // As someone who mixes two logins up would have it: this code with that login's state.
    let app = stage.pkce();
    let (own_url, own) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let mixed = stage.mixed_up(&url, &own_url);
    let result = stage.run(app.exchange(own, &mixed).expect("its own state"));
    stage.refused(result, "invalid_grant", "code.client");
}

/// A code belongs to the redirect URI that it was sent to.
pub fn redirect_of_another_login<S: Subject>(stage: &Stage<S>) {
    let app = stage.web();
    let (url, _) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let elsewhere = RedirectUri::new("http://localhost:8080/elsewhere").expect("a URL");
    let (other_url, other) = app.authorize(&elsewhere, stage.entropy()).expect("a URL");
    let mixed = stage.mixed_up(&url, &other_url);
    let result = stage.run(app.exchange(other, &mixed).expect("the other's state"));
    stage.refused(result, "invalid_grant", "code.redirect_uri");
}

/// A redirect URI that is not registered is refused on the page, not sent a code.
pub fn redirect_not_registered<S: Subject>(stage: &Stage<S>) {
    let elsewhere = RedirectUri::new("https://evil.example/cb").expect("a URL");
    let (url, _) = stage
        .web()
        .authorize(&elsewhere, stage.entropy())
        .expect("a URL");
    let refused = stage
        .mock
        .authorize(url.as_str(), true)
        .expect_err("not registered");
    assert_eq!(
        refused.explanation.rule,
        Some("authorize.redirect_uri"),
        "{refused}"
    );
}
