//! Refresh: rotation, and who may do it (protocol §2.4, §3.4).

use std::time::Duration;

use coze_auth_core::{Call, RefreshToken, TokenGrant};

use crate::{Stage, Subject};

fn refresh_token(grant: &TokenGrant) -> RefreshToken {
    grant.refresh_token.clone().expect("a refresh token")
}

fn rotates<S: Subject>(
    stage: &Stage<S>,
    first: &TokenGrant,
    refresh: impl Fn(&RefreshToken) -> Call<TokenGrant>,
) {
    stage.saw();
    let second = stage
        .run(refresh(&refresh_token(first)))
        .expect("a refresh");
    assert_ne!(second.access_token.expose(), first.access_token.expose());
    assert_ne!(
        refresh_token(&second).expose(),
        refresh_token(first).expose(),
        "Coze rotates"
    );
    stage.prove(&second);
    let third = stage
        .run(refresh(&refresh_token(&second)))
        .expect("a refresh with the new token");
    stage.prove(&third);
    let expected = [
        "token refresh_token 200",
        "users_me 200",
        "token refresh_token 200",
        "users_me 200",
    ];
    assert_eq!(stage.saw(), expected);
}

/// A web app refreshes with its secret.
pub fn rotates_for_web<S: Subject>(stage: &Stage<S>) {
    let (app, grant) = (stage.web(), stage.web_login());
    rotates(stage, &grant, |token| app.refresh(token));
}

/// A PKCE app refreshes without a credential.
pub fn rotates_for_pkce<S: Subject>(stage: &Stage<S>) {
    let app = stage.pkce();
    let (url, pending) = app
        .authorize(&stage.redirect(), stage.entropy())
        .expect("a URL");
    let callback = stage.browser(&url, true);
    let grant = stage
        .run(app.exchange(pending, &callback).expect("our state"))
        .expect("a grant");
    rotates(stage, &grant, |token| app.refresh(token));
}

/// A device app refreshes without a credential.
pub fn rotates_for_device<S: Subject>(stage: &Stage<S>) {
    let app = stage.device();
    let started = stage.run(app.start()).expect("a device code");
    stage
        .mock
        .device(&started.user_code, coze_auth_mock::DeviceAction::Approve)
        .expect("a pending device");
    let grant = stage.run(app.poll(&started)).expect("a grant");
    rotates(stage, &grant, |token| app.refresh(token));
}

/// A refresh token that was rotated away is refused.
pub fn spent_token<S: Subject>(stage: &Stage<S>) {
    let (app, grant) = (stage.web(), stage.web_login());
    stage
        .run(app.refresh(&refresh_token(&grant)))
        .expect("the first use");
    let again = stage.run(app.refresh(&refresh_token(&grant)));
    stage.refused(again, "invalid_grant", "refresh.rotate");
}

/// A refresh token lives 30 days.
pub fn expired_token<S: Subject>(stage: &Stage<S>) {
    const DAY: Duration = Duration::from_secs(86_400);
    let (app, grant) = (stage.web(), stage.web_login());
    stage.clock.advance(DAY * 30 - Duration::from_secs(1));
    let last = stage
        .run(app.refresh(&refresh_token(&grant)))
        .expect("a second before the end");
    stage.clock.advance(DAY * 30);
    stage.refused(
        stage.run(app.refresh(&refresh_token(&last))),
        "invalid_grant",
        "refresh.expiry",
    );
}

/// A refresh token belongs to its app.
pub fn token_of_another_app<S: Subject>(stage: &Stage<S>) {
    let grant = stage.web_login();
    let result = stage.run(stage.pkce().refresh(&refresh_token(&grant)));
    stage.refused(result, "invalid_grant", "refresh.client");
}

/// Thirty-one days of daily refreshing, longer than any single refresh token lives.
pub fn a_month_of_refreshing<S: Subject>(stage: &Stage<S>) {
    let (app, mut grant) = (stage.web(), stage.web_login());
    for _ in 0..31 {
        stage.clock.advance(Duration::from_secs(86_400));
        assert!(grant.remaining(stage.clock.now().unix).is_zero());
        grant = stage
            .run(app.refresh(&refresh_token(&grant)))
            .expect("a refresh");
    }
    stage.prove(&grant);
}
