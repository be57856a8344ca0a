//! The check of an access token, which every path of the API begins with (protocol §10.2).

use std::num::NonZeroU64;

use super::context::Context;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Credential;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::grants::AccessToken;

/// The token of the request, if it is one that this world knows, and is good for its resource.
pub(super) fn check(ctx: &mut Context<'_>) -> Result<AccessToken, Refusal> {
    let unknown = |actual: String| Refusal {
        rule: Rule::TokenKnown,
        detail: String::new(),
        expected: "an access token, PAT or SAT of this server as Bearer credential".to_owned(),
        actual,
    };
    let credential = ctx.request.credential()?;
    let Credential::Bearer(secret) = credential else {
        let header = ctx.request.has_authorization();
        return Err(unknown(credential.describe(header).to_owned()));
    };
    ctx.draft.note_presented(secret);
    let key = ctx.key(secret);
    let state = &*ctx.state;
    let found = state
        .console_tokens
        .get(&key)
        .or_else(|| state.access_tokens.get(&key));
    let Some(token) = found.cloned() else {
        // Looked up first, since a configuration may have a token with this value.
        magic_values::check("access_token", secret)?;
        let note = state.access_tokens.eviction_note();
        return Err(unknown(match state.refresh_tokens.get(&key) {
            Some(_) => "a refresh token".to_owned(),
            None => format!("unknown token {}{note}", redact::mask(secret)),
        }));
    };
    judge(ctx, token)
}

/// Notes whose a known token is, and returns it if it is good.
pub(super) fn judge(ctx: &mut Context<'_>, token: AccessToken) -> Result<AccessToken, Refusal> {
    let client = token.app.map(|app| ctx.state.app(app).client_id.clone());
    ctx.draft.client = client;

    let now = ctx.now_ms;
    ctx.require(Rule::TokenRevoked, !token.revoked, || {
        ("a token that was not revoked", "a revoked one")
    })?;
    let expires_ms = token.expires_ms.map(NonZeroU64::get);
    let expired = expires_ms.filter(|expiry| now >= *expiry);
    ctx.require(Rule::TokenExpiry, expired.is_none(), || {
        let late = (now - expired.unwrap_or(now)) / 1000;
        (
            "a token that has not expired",
            format!("one that expired {late} s ago"),
        )
    })?;
    ctx.require(Rule::TokenPermission, !token.restricted, || {
        (
            "a token with permission for this resource",
            "a token without it",
        )
    })?;
    Ok(token)
}
