//! The token endpoint, which dispatches by grant type.

use super::context::Context;
use super::{authorization_code, device_code, jwt_bearer, refresh_token};
use crate::protocol::grant::{DEVICE_CODE, JWT_BEARER, name, secret_of};
use crate::protocol::json_body::JsonObject;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;

/// Answers a token request. `jwt_only` is true for the account and enterprise paths (protocol §2.1, E4 and E5).
pub(crate) fn token(ctx: &mut Context<'_>, jwt_only: bool) -> Result<Answer, Refusal> {
    let body = ctx.json_body()?;
    let grant = body.text("grant_type")?;
    let handler: fn(&mut Context<'_>, &JsonObject<'_>) -> _ = match grant {
        JWT_BEARER => jwt_bearer::exchange,
        "authorization_code" if !jwt_only => authorization_code::exchange,
        "refresh_token" if !jwt_only => refresh_token::refresh,
        DEVICE_CODE if !jwt_only => device_code::poll,
        other => return Err(unsupported(other, jwt_only)),
    };
    ctx.draft.grant = name(grant);
    let secret = ctx.draft.grant.and_then(secret_of);
    if let Some(secret) = secret.and_then(|member| body.get(member)?.as_str()) {
        ctx.draft.note_presented(secret);
    }
    handler(ctx, &body)
}

fn unsupported(grant: &str, jwt_only: bool) -> Refusal {
    let actual = redact::places::value(grant).into_owned();
    Refusal {
        rule: Rule::GrantSupported,
        detail: actual.clone(),
        expected: match jwt_only {
            true => format!("{JWT_BEARER}, the only grant type of this path"),
            false => format!("authorization_code, refresh_token, {DEVICE_CODE} or {JWT_BEARER}"),
        },
        actual,
    }
}
