//! Tokens as such: made in the console, unknown, expired, revoked (protocol §3.3, §10).

use std::time::Duration;

use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::{AccessToken, Retry};

use crate::{Stage, Subject};

/// A personal access token opens the API.
pub fn personal_token<S: Subject>(stage: &Stage<S>) {
    let user = stage.whoami(&stage.token("pat")).expect("a personal token");
    assert_eq!(user.user_name, "alice");
    assert_eq!(stage.saw(), ["users_me 200"]);
}

/// A service access token opens the API.
pub fn service_token<S: Subject>(stage: &Stage<S>) {
    stage.whoami(&stage.token("sat")).expect("a service token");
    assert_eq!(stage.saw(), ["users_me 200"]);
}

/// A token that Coze does not know is refused with its number, log id and advice.
pub fn unknown_token<S: Subject>(stage: &Stage<S>) {
    let result = stage.whoami(&AccessToken::new("pat_nobody_knows_this_one").expect("a token"));
    let shown = format!("{result:?} {}", result.as_ref().unwrap_err());
    assert!(
        !shown.contains("nobody_knows"),
        "the token is in the error: {shown}"
    );
    assert_eq!(result.as_ref().unwrap_err().retry(), Retry::Never);
    stage.refused(result, "4100", "token.known");
}

/// A token ends at its `expires_in`, neither before nor after.
pub fn expired_token<S: Subject>(stage: &Stage<S>) {
    let grant = stage
        .run(stage.jwt().grant(&JwtGrant::new(), stage.entropy()))
        .expect("a grant");
    let life = grant.remaining(stage.clock.now().unix);
    stage.clock.advance(life - Duration::from_secs(1));
    stage
        .whoami(&grant.access_token)
        .expect("a second before the end");
    stage.clock.advance(Duration::from_secs(1));
    stage.refused(stage.whoami(&grant.access_token), "4100", "token.expiry");
}

/// A token that was taken back is refused.
pub fn revoked_token<S: Subject>(stage: &Stage<S>) {
    let grant = stage
        .run(stage.jwt().grant(&JwtGrant::new(), stage.entropy()))
        .expect("a grant");
    assert!(
        stage.mock.revoke(grant.access_token.expose()),
        "the mock knows the token"
    );
    stage.refused(stage.whoami(&grant.access_token), "4100", "token.revoked");
}
