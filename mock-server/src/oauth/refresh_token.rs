//! The refresh token grant.

use super::client_auth::{authenticate, issued_to};
use super::context::Call;
use crate::protocol::json_body::Members;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::Kind;
use crate::state::grants::{AppIndex, RefreshToken};

pub(super) fn refresh(call: &mut Call<'_>, body: &Members<'_>) -> Result<Answer, Refusal> {
    let kinds = [Kind::Web, Kind::Pkce, Kind::Device];
    let app = call.client(body.text("client_id")?, &kinds)?;
    authenticate(call, app)?;
    let secret = body.text("refresh_token")?;
    magic_values::check("refresh_token", secret)?;
    let key = call.key(secret);
    let Some(token) = call.world.refresh_tokens.get(&key).cloned() else {
        let note = call.world.refresh_tokens.eviction_note();
        let came = match call.world.access_tokens.get(&key) {
            Some(_) => "an access token".to_owned(),
            None => format!("unknown token {}{note}", redact::mask(secret)),
        };
        return Err(Refusal {
            rule: Rule::RefreshKnown,
            detail: String::new(),
            expected: "a refresh token that this server issued".to_owned(),
            came,
        });
    };
    check_refresh_token(call, &token, app)?;
    let mark = call.mark();
    if let Some(token) = call.world.refresh_tokens.get_mut(&key) {
        token.spent = Some(mark);
    }
    let origin = call.origin(Some(&key));
    let tokens = call.world.issue_pair(app, token.user, call.now_ms, origin);
    Ok(call.hand_out(&tokens))
}

fn check_refresh_token(
    call: &mut Call<'_>,
    token: &RefreshToken,
    app: AppIndex,
) -> Result<(), Refusal> {
    let now = call.now_ms;
    issued_to(call, Rule::RefreshClient, token.app, app)?;
    call.require(Rule::RefreshRevoked, !token.revoked, || {
        ("a token that was not revoked", "a revoked one")
    })?;
    call.require(Rule::RefreshRotate, token.spent.is_none(), || {
        (
            "the newest refresh token of the grant",
            "one that a refresh has replaced",
        )
    })?;
    call.require(Rule::RefreshExpiry, now < token.expires_ms, || {
        let late = (now - token.expires_ms) / 1000;
        (
            "a token that has not expired",
            format!("one that expired {late} s ago"),
        )
    })
}
