//! The outcome of an accepted authorize request: a code, or an error.

use std::sync::Arc;

use url::Url;

use super::State;
use super::grants::{Authorization, Code};
use super::user::User;
use crate::protocol::digest::digest;

/// Approves: returns the redirect with a new code.
pub(crate) fn approve(
    state: &mut State,
    authorization: &Authorization,
    user: Arc<User>,
    now_ms: u64,
) -> String {
    let code = state.ids.opaque("code_mock_", 40);
    if *state.redirect_uri != *authorization.redirect_uri {
        state.redirect_uri = authorization.redirect_uri.as_str().into();
    }
    let entry = Code {
        app: authorization.app,
        user,
        redirect_uri: state.redirect_uri.clone(),
        challenge: authorization.challenge.clone().map(Box::new),
        expires_ms: now_ms + state.settings.ttl.code * 1000,
        made: authorization.made,
        used: None,
    };
    state.codes.insert(digest(&code), entry);
    redirect(authorization, &[("code", &code)])
}

/// Denies: returns the redirect of RFC 6749 §4.1.2.1, since Coze's own is unknown (protocol §4.5).
pub(crate) fn deny(authorization: &Authorization) -> String {
    fail(
        authorization,
        "access_denied",
        "the user denied the request",
    )
}

/// Returns the redirect with an error instead of a code.
pub(crate) fn fail(authorization: &Authorization, error: &str, why: &str) -> String {
    redirect(
        authorization,
        &[("error", error), ("error_description", why)],
    )
}

fn redirect(authorization: &Authorization, parameters: &[(&str, &str)]) -> String {
    let mut url = Url::parse(&authorization.redirect_uri).expect("checked by the request");
    let mut query = url.query_pairs_mut();
    query.extend_pairs(parameters);
    if let Some(state) = &authorization.state {
        query.append_pair("state", state);
    }
    drop(query);
    url.into()
}
