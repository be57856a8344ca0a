//! `GET …/authorize` (protocol §2.2).

use std::collections::HashMap;

use url::form_urlencoded;

use super::context::Context;
use crate::limits::CONSENT_PAGE_S;
use crate::protocol::digest::digest;
use crate::protocol::redirect_uri;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::{AppKind, Consent};
use crate::state::authorizations::{approve, deny};
use crate::state::challenges;
use crate::state::grants::{AppIndex, Authorization, Challenge};

const PARAMETERS: [&str; 6] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
];

pub(crate) fn authorize(ctx: &mut Context<'_>, workspace: Option<&str>) -> Result<Answer, Refusal> {
    let authorization = check(ctx, workspace)?;
    let (consent, user) = match &ctx.decider {
        Some(decider) => (decider.consent, decider.user.clone()),
        None => (
            ctx.state.consent_of(authorization.app),
            ctx.state.user.clone(),
        ),
    };
    let location = match consent {
        Consent::Approve => approve(ctx.state, &authorization, user, ctx.now_ms),
        Consent::Deny => deny(&authorization),
        Consent::Page => {
            let key = ctx.state.ids.opaque("", 43);
            ctx.state.authorizations.insert(digest(&key), authorization);
            format!("{}/oauth/consent?authorize_key={key}", ctx.request.base)
        }
    };
    Ok(Answer::Redirect(location))
}

fn check(ctx: &mut Context<'_>, workspace: Option<&str>) -> Result<Authorization, Refusal> {
    let query = parameters(ctx.request.query.as_deref().unwrap_or(""))?;
    let get = |name: &str| {
        query
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    };
    let required = |name: &'static str| {
        let actual = if query.contains_key(name) {
            "empty"
        } else {
            "not there"
        };
        get(name).ok_or_else(|| Refusal::parameter(Rule::ParamRequired, name, actual))
    };

    let client_id = required("client_id")?;
    let app = ctx.client(client_id, &[AppKind::Web, AppKind::Pkce])?;
    let redirect_uri = required("redirect_uri")?;
    check_redirect_uri(ctx, app, redirect_uri)?;

    let response_type = required("response_type")?;
    ctx.require(Rule::AuthorizeResponseType, response_type == "code", || {
        ("response_type code", redact::places::value(response_type))
    })?;
    ctx.require(Rule::AuthorizeState, get("state").is_some(), || {
        ("a state that is not empty", "none")
    })?;
    let challenge = challenge(ctx, app, &get)?;
    if let Some(challenge) = &challenge {
        let key = challenges::challenge(&challenge.value, challenge.s256);
        ctx.state.challenges.insert(key, ());
    }
    Ok(Authorization {
        app,
        redirect_uri: redirect_uri.to_owned(),
        state: query.get("state").cloned(),
        challenge,
        workspace: workspace.map(str::to_owned),
        expires_ms: ctx.now_ms + CONSENT_PAGE_S * 1000,
        decided: false,
        made: ctx.mark(),
        fault: None,
    })
}

/// Parses the known parameters, each at most once (RFC 6749 §3.1). Unknown ones are ignored.
pub(crate) fn parameters(query: &str) -> Result<HashMap<&'static str, String>, Refusal> {
    let mut found = HashMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(known) = PARAMETERS.into_iter().find(|known| *known == name) else {
            continue;
        };
        Refusal::limit_length(known, &value)?;
        if found.insert(known, value.into_owned()).is_some() {
            return Err(Refusal::parameter(Rule::ParamOnce, known, "twice"));
        }
    }
    Ok(found)
}

fn check_redirect_uri(ctx: &mut Context<'_>, app: AppIndex, uri: &str) -> Result<(), Refusal> {
    let parsed = redirect_uri::redirect_uri(uri);
    ctx.require(Rule::AuthorizeRedirectUriForm, parsed.is_ok(), || {
        let why = parsed.as_ref().err().copied().unwrap_or_default();
        let actual = format!("{why}: {}", redact::redirect_uri(uri));
        (
            "an absolute http or https URL without user info, fragment and backslash",
            actual,
        )
    })?;
    let Ok(url) = parsed else { return Ok(()) };
    let app = ctx.state.app(app);
    let (registered, allowed) = (app.redirect_uris.join(", "), app.allows_redirect(uri, &url));
    ctx.require(Rule::AuthorizeRedirectUri, allowed, || {
        let expected = format!("one of {registered}");
        (expected, redact::redirect_uri(uri))
    })
}

/// The code challenge; `plain` is the default method (protocol §2.2). A web app may use PKCE in addition to its secret.
fn challenge<'a>(
    ctx: &Context<'_>,
    app: AppIndex,
    get: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<Challenge>, Refusal> {
    let refuse = |name: &str, expected: &str, actual: String| Refusal {
        rule: Rule::AuthorizeCodeChallenge,
        detail: name.to_owned(),
        expected: expected.to_owned(),
        actual,
    };
    let method = get("code_challenge_method").unwrap_or("plain");
    match get("code_challenge") {
        None if ctx.state.app(app).kind == AppKind::Pkce => {
            let actual = "no code_challenge".to_owned();
            Err(refuse("code_challenge", "a code challenge", actual))
        }
        None => Ok(None),
        Some(_) if !matches!(method, "plain" | "S256") => {
            let expected = "plain or S256";
            Err(refuse(
                "code_challenge_method",
                expected,
                redact::places::value(method).into_owned(),
            ))
        }
        Some(value) => Ok(Some(Challenge {
            value: value.to_owned(),
            s256: method == "S256",
        })),
    }
}
