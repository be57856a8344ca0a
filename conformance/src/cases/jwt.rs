//! JWT apps: assertions and what they are traded for (protocol §5, §6).

use std::time::Duration;

use coze_auth_core::Entropy;
use coze_auth_core::endpoint::{AccountId, EnterpriseId};
use coze_auth_core::jwt::{JwtApp, JwtGrant, JwtIssuer, SessionContext, Signer};
use coze_auth_core::scope::Scope;

use crate::{Stage, Subject};

const APP: &str = "100000000001";
const KEY_ID: &str = "mock-jwt-key-1";

/// A grant with nothing special.
pub fn grant<S: Subject>(stage: &Stage<S>) {
    let grant = stage
        .run(stage.jwt().grant(&JwtGrant::new(), stage.entropy()))
        .expect("a grant");
    assert!(
        grant.refresh_token.is_none(),
        "the JWT flow gives none (protocol §3.1)"
    );
    assert_eq!(
        grant.remaining(stage.clock.now().unix),
        Duration::from_secs(900)
    );
    let seen = stage.last();
    assert_eq!(
        seen.json
            .expect("a JSON body")
            .as_object()
            .expect("an object")
            .len(),
        1,
        "only what was asked for"
    );
    stage.prove(&grant);
    assert_eq!(stage.saw(), ["token jwt_bearer 200", "users_me 200"]);
}

/// Session name, session context, scope and life of the token.
pub fn session_scope_and_ttl<S: Subject>(stage: &Stage<S>) {
    let request = JwtGrant::new()
        .session_name("user-42")
        .expect("a name")
        .session_context(SessionContext::Device("device-9".into()))
        .expect("an id")
        .scope(Scope::bot_chat(["bot-1"]))
        .ttl(Duration::from_secs(7200))
        .expect("two hours");
    let grant = stage
        .run(stage.jwt().grant(&request, stage.entropy()))
        .expect("a grant");
    assert_eq!(
        grant.remaining(stage.clock.now().unix),
        Duration::from_secs(7200)
    );
    let seen = stage.last();
    let claims = seen.jwt.expect("an assertion").payload;
    assert_eq!(claims["session_name"], "user-42");
    assert_eq!(
        claims["session_context"]["device_info"]["device_id"],
        "device-9"
    );
    let body = seen.json.expect("a JSON body");
    assert_eq!(body["duration_seconds"], 7200);
    assert_eq!(
        body["scope"]["account_permission"]["permission_list"][0],
        "Connector.botChat"
    );
}

/// A grant for another account.
pub fn for_an_account<S: Subject>(stage: &Stage<S>) {
    let request = JwtGrant::new().account(AccountId::new("123456").expect("an id"));
    stage.prove(
        &stage
            .run(stage.jwt().grant(&request, stage.entropy()))
            .expect("a grant"),
    );
    assert!(
        stage.mock.requests()[0]
            .path
            .ends_with("/oauth2/account/123456/token")
    );
}

/// A grant for an enterprise.
pub fn for_an_enterprise<S: Subject>(stage: &Stage<S>) {
    let request = JwtGrant::new().enterprise(EnterpriseId::new("volcano_2101").expect("an id"));
    stage.prove(
        &stage
            .run(stage.jwt().grant(&request, stage.entropy()))
            .expect("a grant"),
    );
    assert!(
        stage.mock.requests()[0]
            .path
            .ends_with("/oauth2/enterprise_id/volcano_2101/token")
    );
}

/// Assertions are single-use, so every call makes its own.
pub fn every_call_its_own_assertion<S: Subject>(stage: &Stage<S>) {
    let app = stage.jwt();
    for _ in 0..3 {
        stage
            .run(app.grant(&JwtGrant::new(), stage.entropy()))
            .expect("a grant");
    }
    assert_eq!(stage.saw(), ["token jwt_bearer 200"; 3]);
}

/// A key id that is not registered, most often one of the other region.
pub fn unknown_key_id<S: Subject>(stage: &Stage<S>) {
    let app = JwtApp::new(stage.endpoints(), APP, "no-such-key", stage.key()).expect("an app");
    stage.refused(
        stage.run(app.grant(&JwtGrant::new(), stage.entropy())),
        "invalid_client",
        "jwt.kid",
    );
}

/// A signature that is not the key's.
pub fn wrong_key<S: Subject>(stage: &Stage<S>) {
    struct Noise;
    impl Signer for Noise {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, coze_auth_core::error::SigningError> {
            Ok(vec![7; 256])
        }
    }
    let app = JwtApp::new(stage.endpoints(), APP, KEY_ID, Noise).expect("an app");
    stage.refused(
        stage.run(app.grant(&JwtGrant::new(), stage.entropy())),
        "invalid_client",
        "jwt.signature",
    );
}

/// An assertion that is meant for another host.
pub fn wrong_audience<S: Subject>(stage: &Stage<S>) {
    let issuer = JwtIssuer::new(stage.endpoints(), APP, KEY_ID).expect("an issuer");
    let app = JwtApp::from_issuer(
        issuer.with_audience("api.example.com").expect("a host"),
        stage.key(),
    );
    stage.refused(
        stage.run(app.grant(&JwtGrant::new(), stage.entropy())),
        "invalid_client",
        "jwt.aud",
    );
}

/// An assertion that lay about for longer than it lives.
pub fn assertion_expired<S: Subject>(stage: &Stage<S>) {
    let issuer = JwtIssuer::new(stage.endpoints(), APP, KEY_ID).expect("an issuer");
    let unsigned = issuer.assertion(&JwtGrant::new(), stage.entropy(), stage.clock.now());
    let signature = stage
        .key()
        .sign_rs256(unsigned.signing_input())
        .expect("a signature");
    stage.clock.advance(Duration::from_secs(601));
    stage.refused(
        stage.run(unsigned.signed(&signature).expect("a signature")),
        "invalid_client",
        "jwt.exp",
    );
}

/// The same assertion twice, which a driver that retries by itself would send.
pub fn replayed_assertion<S: Subject>(stage: &Stage<S>) {
    let app = stage.jwt();
    let seed = || Entropy::from_bytes([99; 32]);
    stage
        .run(app.grant(&JwtGrant::new(), seed()))
        .expect("the first time");
    stage.refused(
        stage.run(app.grant(&JwtGrant::new(), seed())),
        "invalid_client",
        "jwt.jti",
    );
}
