//! PKCE apps: authorization code with a code verifier and no secret (RFC 7636, protocol §2.4).

use coze_auth_core::authorize::PendingAuthorization;
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::pkce::PkceApp;

use crate::{Stage, Subject};

/// A login with the S256 challenge.
pub fn login<S: Subject>(stage: &Stage<S>) {
    whole_login(stage, &stage.pkce(), "S256");
}

/// A login with the plain challenge, which Coze documents as its default.
pub fn login_with_plain_challenge<S: Subject>(stage: &Stage<S>) {
    whole_login(stage, &stage.pkce().with_plain_challenge(), "plain");
}

fn whole_login<S: Subject>(stage: &Stage<S>, app: &PkceApp, method: &str) {
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    assert!(
        url.as_str()
            .ends_with(&format!("&code_challenge_method={method}")),
        "{url}"
    );
    let callback = stage.browser(&url, true);
    let grant = stage
        .run(app.exchange(pending, &callback).expect("our state"))
        .expect("a grant");
    let exchange = stage.last();
    assert!(
        !exchange.headers.contains_key("authorization"),
        "a public client has no credential to send"
    );
    stage.prove(&grant);
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
    let app = stage.pkce();
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

/// A code that was intercepted is worth nothing without its verifier.
pub fn verifier_of_another_login<S: Subject>(stage: &Stage<S>) {
    let app = stage.pkce();
    let (url, _) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let (thief_url, thief) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.mixed_up(&url, &thief_url);
    let result = stage.run(app.exchange(thief, &callback).expect("the thief's state"));
    stage.refused(result, "invalid_grant", "pkce.verifier");
}

/// The attempt is kept as JSON between the link and the callback, as a server does.
pub fn login_survives_storage<S: Subject>(stage: &Stage<S>) {
    let app = stage.pkce();
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let kept = pending.to_secret_json();
    drop(pending);
    let callback = stage.browser(&url, true);
    let pending = PendingAuthorization::from_secret_json(kept.expose()).expect("what was kept");
    stage.prove(
        &stage
            .run(app.exchange(pending, &callback).expect("our state"))
            .expect("a grant"),
    );
}
