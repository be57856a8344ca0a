//! What a transport itself may add or lose.

use coze_auth_core::{Endpoints, Error, RefreshToken, Retry, TransportFailure, whoami};

use crate::{Stage, Subject};

/// The server sees the request that the core built: its method, its path, its headers once each.
pub fn what_the_server_sees<S: Subject>(stage: &Stage<S>) {
    stage.run(stage.device().start()).expect("a device code");
    let seen = stage.last();
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/api/permission/oauth2/device/code"));
    // Values of a header that came twice are joined by a comma.
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["accept"], "application/json");
    assert!(seen.headers["user-agent"].starts_with("coze-auth/"), "{}", seen.headers["user-agent"]);
    assert!(!seen.headers.contains_key("authorization"), "a public client has no credential to send");
    stage.whoami(&stage.token("pat")).expect("a user");
    let seen = stage.last();
    assert_eq!((&*seen.method, &*seen.path), ("GET", "/v1/users/me"));
    assert!(seen.headers.contains_key("authorization"));
    assert!(!seen.headers.contains_key("content-type"), "there is no content");
}

/// A connection that nobody takes: nothing was sent, so even a single-use value may be sent again.
pub fn nobody_listens<S: Subject>(stage: &Stage<S>) {
    // Port 1 is nobody's: a port that was free a moment ago could be another test's by now.
    let nowhere = Endpoints::custom("http://127.0.0.1:1").expect("a base");
    let error = stage.run(whoami(&nowhere, &stage.token("pat"))).expect_err("nobody is there");
    assert_eq!(error, Error::Transport { failure: TransportFailure::NotSent, single_use: false });
    let app = coze_auth_core::pkce::PkceApp::new(nowhere, "id").expect("an app");
    let error = stage.run(app.refresh(&RefreshToken::new("r").expect("a token"))).expect_err("nobody is there");
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(stage.saw().is_empty());
}
