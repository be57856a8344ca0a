//! The refresh token grant.

use super::client_auth::{authenticate, issued_to};
use super::context::Context;
use crate::protocol::json_body::JsonObject;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::AppKind;
use crate::state::grants::{AppIndex, RefreshToken};

pub(super) fn refresh(ctx: &mut Context<'_>, body: &JsonObject<'_>) -> Result<Answer, Refusal> {
    let kinds = [AppKind::Web, AppKind::Pkce, AppKind::Device];
    let app = ctx.client(body.text("client_id")?, &kinds)?;
    authenticate(ctx, app)?;
    let secret = body.text("refresh_token")?;
    magic_values::check("refresh_token", secret)?;
    let key = ctx.key(secret);
    let Some(token) = ctx.state.refresh_tokens.get(&key).cloned() else {
        let note = ctx.state.refresh_tokens.eviction_note();
        let actual = match ctx.state.access_tokens.get(&key) {
            Some(_) => "an access token".to_owned(),
            None => format!("unknown token {}{note}", redact::mask(secret)),
        };
        return Err(Refusal {
            rule: Rule::RefreshKnown,
            detail: String::new(),
            expected: "a refresh token that this server issued".to_owned(),
            actual,
        });
    };
    check_refresh_token(ctx, &token, app)?;
    let mark = ctx.mark();
    if let Some(token) = ctx.state.refresh_tokens.get_mut(&key) {
        token.spent = Some(mark);
    }
    let origin = ctx.origin(Some(&key));
    let tokens = ctx.state.issue_pair(app, token.user, ctx.now_ms, origin);
    Ok(ctx.hand_out(&tokens))
}

fn check_refresh_token(
    ctx: &mut Context<'_>,
    token: &RefreshToken,
    app: AppIndex,
) -> Result<(), Refusal> {
    let now = ctx.now_ms;
    issued_to(ctx, Rule::RefreshClient, token.app, app)?;
    ctx.require(Rule::RefreshRevoked, !token.revoked, || {
        ("a token that was not revoked", "a revoked one")
    })?;
    ctx.require(Rule::RefreshRotate, token.spent.is_none(), || {
        (
            "the newest refresh token of the grant",
            "one that a refresh has replaced",
        )
    })?;
    ctx.require(Rule::RefreshExpiry, now < token.expires_ms, || {
        let late = (now - token.expires_ms) / 1000;
        (
            "a token that has not expired",
            format!("one that expired {late} s ago"),
        )
    })
}
