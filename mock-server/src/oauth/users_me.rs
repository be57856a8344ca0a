//! `GET /v1/users/me`, which checks a token (protocol §10).

use std::borrow::Cow;
use std::num::NonZeroU64;

use serde_json::json;

use super::context::Context;
use crate::protocol::endpoint::PICTURE;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Credential;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;

pub(crate) fn users_me(ctx: &mut Context<'_>) -> Result<Answer, Refusal> {
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
    let client = token.app.map(|app| state.app(app).client_id.clone());
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
    let user = &token.user;
    let served = || Cow::Owned(format!("{}{PICTURE}", ctx.request.base));
    let picture = user.avatar_url.as_deref();
    let picture = picture.map_or_else(served, Cow::Borrowed);
    Ok(Answer::json(&json!({
        "code": 0,
        "msg": "",
        "data": {
            "user_id": user.id,
            "user_name": user.name,
            "nick_name": user.nick,
            "avatar_url": picture,
        },
        "detail": { "logid": ctx.logid },
    })))
}
