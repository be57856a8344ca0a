//! The consent page: shows an authorize request, and redirects to the app after the decision.

use std::sync::Arc;

use askama::Template;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::chosen::chosen;
use crate::html::callback;
use crate::html::form::Fields;
use crate::html::language;
use crate::html::page::{message, page, undecided};
use crate::html::texts::Texts;
use crate::intercept::fault_kind::CallbackFault;
use crate::protocol::digest::digest;
use crate::protocol::response::{Reply, marked};
use crate::state::grants::Authorization;
use crate::state::user::User;
use crate::state::{State, authorizations};

/// The errors that the page can return to the app instead of a code (RFC 6749 §4.1.2.1).
const ERRORS: [&str; 4] = [
    "access_denied",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
];

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    t: &'static Texts,
    app: &'a str,
    kind: &'a str,
    client_id: &'a str,
    challenge: Option<&'a str>,
    workspace: &'a str,
    redirect_uri: &'a str,
    users: &'a [Arc<User>],
    errors: &'a [&'a str],
    authorize_key: &'a str,
}

/// The authorize request with this `key`, or a page that says why it is not valid.
fn pending(state: &State, t: &'static Texts, key: &str) -> Result<Authorization, Box<Reply>> {
    let problem = |text| {
        Err(Box::new(message(
            t,
            StatusCode::BAD_REQUEST,
            t.invalid,
            text,
        )))
    };
    let now = state.now_ms();
    match state.authorizations.get(&digest(key)) {
        None => problem(t.nobody_waits),
        Some(found) if found.decided => problem(t.decided_already),
        Some(found) if now >= found.expires_ms => problem(t.waited_too_long),
        Some(found) => Ok(found.clone()),
    }
}

pub(crate) fn consent(state: &State, headers: &HeaderMap, query: &str) -> Reply {
    let t = language::texts(headers);
    let fields = Fields::of(query.as_bytes());
    let key = fields.get("authorize_key");
    let authorization = match pending(state, t, key) {
        Ok(authorization) => authorization,
        Err(problem) => return *problem,
    };
    let app = state.app(authorization.app);
    let challenge = authorization.challenge.as_ref();
    let consent_page = ConsentPage {
        t,
        app: &app.name,
        kind: app.kind.name(),
        client_id: &app.client_id,
        challenge: challenge.map(|challenge| if challenge.s256 { "S256" } else { "plain" }),
        workspace: authorization
            .workspace
            .as_deref()
            .unwrap_or(t.all_workspaces),
        redirect_uri: &authorization.redirect_uri,
        users: &state.settings.users,
        errors: &ERRORS,
        authorize_key: key,
    };
    let mut reply = page(StatusCode::OK, t, &consent_page);
    if authorization.fault == Some(CallbackFault::Policy) {
        // A second policy beside the page's: a browser applies both (CSP 3 §8.1).
        let own = HeaderValue::from_static("form-action 'self'");
        reply.headers_mut().append(CONTENT_SECURITY_POLICY, own);
        reply = marked(reply, Some(CallbackFault::Policy.name()));
    }
    reply
}

pub(crate) fn decide_consent(state: &mut State, headers: &HeaderMap, form: &[u8]) -> Reply {
    let t = language::texts(headers);
    let fields = Fields::of(form);
    let key = fields.get("authorize_key");
    let mut authorization = match pending(state, t, key) {
        Ok(authorization) => authorization,
        Err(problem) => return *problem,
    };
    let action = fields.get("action");
    let location = match action {
        "approve" | "wrong_state" => {
            let Some(user) = chosen(state, &fields) else {
                return undecided(t, t.no_user);
            };
            if action == "wrong_state" {
                authorization.state = Some("wrong-state".to_owned());
            }
            let now = state.now_ms();
            authorizations::approve(state, &authorization, user, now)
        }
        "deny" => authorizations::deny(&authorization),
        "error" => match ERRORS
            .into_iter()
            .find(|known| *known == fields.get("error"))
        {
            Some(error) => {
                authorizations::fail(&authorization, error, "chosen on the consent page")
            }
            None => return undecided(t, t.undecided_text),
        },
        _ => return undecided(t, t.undecided_text),
    };
    if let Some(found) = state.authorizations.get_mut(&digest(key)) {
        found.decided = true;
    }
    let fault = authorization.fault;
    callback::redirect(
        headers,
        &location,
        fault.filter(|how| *how != CallbackFault::Policy),
    )
}
