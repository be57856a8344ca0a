//! The token endpoint of workloads: client credentials, and the exchange of an id token (protocol §15.2).

use serde_json::json;

use super::client_auth::issued_to;
use super::context::Context;
use crate::journal::draft::Issued;
use crate::protocol::digest::{Digest, digest, fingerprint_of, same};
use crate::protocol::grant::{CLIENT_CREDENTIALS, TOKEN_EXCHANGE, name};
use crate::protocol::json_body::JsonObject;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::AppKind;
use crate::state::grants::{AppIndex, IdToken};

/// The type of the token that is exchanged (RFC 8693 §3).
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Answers a token request of a workload. `only` is the one grant type of the path, if it has one.
pub(super) fn token(ctx: &mut Context<'_>, only: Option<&'static str>) -> Result<Answer, Refusal> {
    let body = ctx.form_body()?;
    lane(ctx)?;
    let grant = body.text("grant_type")?;
    let handler: fn(&mut Context<'_>, &JsonObject<'_>) -> _ = match grant {
        CLIENT_CREDENTIALS if only != Some(TOKEN_EXCHANGE) => client_credentials,
        TOKEN_EXCHANGE if only != Some(CLIENT_CREDENTIALS) => exchange,
        other => return Err(unsupported(other, only)),
    };
    ctx.draft.grant = name(grant);
    handler(ctx, &body)
}

fn unsupported(grant: &str, only: Option<&str>) -> Refusal {
    let actual = redact::places::value(grant).into_owned();
    Refusal {
        rule: Rule::GrantSupported,
        detail: actual.clone(),
        expected: match only {
            Some(only) => format!("{only}, the only grant type of this path"),
            None => format!("{CLIENT_CREDENTIALS} or {TOKEN_EXCHANGE}"),
        },
        actual,
    }
}

/// Checks the headers of a lane: `x-use-ppe` belongs to lanes of the name `ppe_…` (protocol §15.2).
pub(super) fn lane(ctx: &mut Context<'_>) -> Result<(), Refusal> {
    let headers = &ctx.request.headers;
    let lane = headers.get("x-tt-env").map(|lane| lane.as_bytes());
    let is_ppe = lane.is_some_and(|lane| lane.starts_with(b"ppe_"));
    let fits = is_ppe || !headers.contains_key("x-use-ppe");
    ctx.require(Rule::WorkloadLane, fits, || {
        (
            "x-use-ppe only beside an x-tt-env that begins with ppe_",
            match lane {
                Some(_) => "x-use-ppe beside another x-tt-env",
                None => "x-use-ppe without x-tt-env",
            },
        )
    })
}

/// Notes the access token or id token that is handed out.
fn note_issued(ctx: &mut Context<'_>, key: &Digest) {
    ctx.draft.issued = Some(Issued {
        access: fingerprint_of(key),
        refresh: None,
        // It is a duration (protocol §15.3).
        expires: None,
    });
}

/// The workload with this client id.
fn workload(ctx: &mut Context<'_>, body: &JsonObject<'_>) -> Result<AppIndex, Refusal> {
    let client_id = body.text("client_id")?;
    ctx.draft.client = Some(redact::scrub(client_id));
    let found = ctx.state.app_named(client_id);
    let kind = found.map(|app| ctx.state.app(app).kind);
    let Some(app) = found.filter(|_| kind == Some(AppKind::Workload)) else {
        return Err(Refusal {
            rule: Rule::WorkloadClient,
            detail: String::new(),
            expected: "the client id of a workload of this server".to_owned(),
            actual: match kind {
                Some(kind) => format!("that of an app of kind {}", kind.name()),
                None => format!("client_id {}", redact::scrub(client_id)),
            },
        });
    };
    ctx.usable(app, &[AppKind::Workload])?;
    Ok(app)
}

fn client_credentials(ctx: &mut Context<'_>, body: &JsonObject<'_>) -> Result<Answer, Refusal> {
    let app = workload(ctx, body)?;
    let sent = body.text("client_secret")?;
    let own = ctx.state.app(app).client_secret.as_deref().unwrap_or("");
    let (length, right) = (own.len(), same(sent, own));
    ctx.require(Rule::WorkloadSecret, right, || {
        (
            format!("the client secret of the workload, {length} characters"),
            format!("{} other characters", sent.chars().count()),
        )
    })?;
    let (token, expires_in) = ctx.state.issue_id_token(app, ctx.mark(), ctx.now_ms);
    note_issued(ctx, &digest(&token));
    // The id token is named access_token (protocol §15.3).
    Ok(Answer::json(&json!({
        "access_token": token,
        "expires_in": expires_in,
        "token_type": "Bearer",
    })))
}

fn exchange(ctx: &mut Context<'_>, body: &JsonObject<'_>) -> Result<Answer, Refusal> {
    let app = workload(ctx, body)?;
    let secret = body.text("subject_token")?;
    ctx.draft.note_presented(secret);
    let kind = body.text("subject_token_type")?;
    ctx.require(Rule::WorkloadSubjectType, kind == ID_TOKEN, || {
        (ID_TOKEN, redact::places::value(kind).into_owned())
    })?;
    let key = ctx.key(secret);
    let Some(token) = ctx.state.id_tokens.get(&key).copied() else {
        let note = ctx.state.id_tokens.eviction_note();
        return Err(Refusal {
            rule: Rule::WorkloadSubjectKnown,
            detail: String::new(),
            expected: "an id token that this server issued".to_owned(),
            actual: match ctx.state.access_tokens.get(&key) {
                Some(_) => "an access token".to_owned(),
                None => format!("unknown token {}{note}", redact::mask(secret)),
            },
        });
    };
    check_id_token(ctx, token, app)?;
    let origin = ctx.origin(Some(&key));
    let tokens = ctx.state.issue_workload(app, ctx.now_ms, origin);
    note_issued(ctx, &tokens.access_key);
    // Seconds from now, and not the moment that every other token has (protocol §15.3).
    let expires_in = tokens.expires_in.saturating_sub(ctx.now_ms / 1000);
    Ok(Answer::json(&json!({
        "access_token": tokens.access_token,
        "expires_in": expires_in,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
    })))
}

fn check_id_token(ctx: &mut Context<'_>, token: IdToken, app: AppIndex) -> Result<(), Refusal> {
    let now = ctx.now_ms;
    issued_to(ctx, Rule::WorkloadSubjectClient, token.app, app)?;
    ctx.require(Rule::WorkloadSubjectExpiry, now < token.expires_ms, || {
        let late = (now - token.expires_ms) / 1000;
        (
            "an id token that has not expired",
            format!("one that expired {late} s ago"),
        )
    })
}
