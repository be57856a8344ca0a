//! The authorization code grant, with PKCE (protocol §2.3).

use super::client_auth::{authenticate, issued_to};
use super::context::Context;
use crate::protocol::digest::same;
use crate::protocol::json_body::JsonObject;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::AppKind;
use crate::state::challenges::s256;
use crate::state::grants::{AppIndex, Challenge, Code};

pub(super) fn exchange(ctx: &mut Context<'_>, body: &JsonObject<'_>) -> Result<Answer, Refusal> {
    let app = ctx.client(body.text("client_id")?, &[AppKind::Web, AppKind::Pkce])?;
    authenticate(ctx, app)?;
    let secret = body.text("code")?;
    let redirect_uri = body.text("redirect_uri")?;
    let verifier = match body.get("code_verifier") {
        Some(_) => Some(body.text("code_verifier")?),
        None => None,
    };

    magic_values::check("code", secret)?;
    let key = ctx.key(secret);
    let Some(code) = ctx.state.codes.get(&key).cloned() else {
        let note = ctx.state.codes.eviction_note();
        return Err(Refusal {
            rule: Rule::CodeKnown,
            detail: String::new(),
            expected: "a code that this server issued".to_owned(),
            actual: format!("unknown code {}{note}", redact::mask(secret)),
        });
    };
    check_code(ctx, &code, app, redirect_uri)?;
    check_verifier(ctx, code.challenge.as_deref(), verifier)?;
    let mark = ctx.mark();
    if let Some(code) = ctx.state.codes.get_mut(&key) {
        code.used = Some(mark);
    }
    let origin = ctx.origin(Some(&key));
    let tokens = ctx.state.issue_pair(app, code.user, ctx.now_ms, origin);
    Ok(ctx.hand_out(&tokens))
}

fn check_code(
    ctx: &mut Context<'_>,
    code: &Code,
    app: AppIndex,
    redirect_uri: &str,
) -> Result<(), Refusal> {
    let now = ctx.now_ms;
    ctx.require(Rule::CodeSingleUse, code.used.is_none(), || {
        ("a code that was not exchanged before", "one that was")
    })?;
    ctx.require(Rule::CodeExpiry, now < code.expires_ms, || {
        let late = (now - code.expires_ms) / 1000;
        (
            "a code that has not expired",
            format!("one that expired {late} s ago"),
        )
    })?;
    issued_to(ctx, Rule::CodeClient, code.app, app)?;
    ctx.require(
        Rule::CodeRedirectUri,
        *code.redirect_uri == *redirect_uri,
        || {
            (
                redact::redirect_uri(&code.redirect_uri),
                redact::redirect_uri(redirect_uri),
            )
        },
    )
}

fn check_verifier(
    ctx: &mut Context<'_>,
    challenge: Option<&Challenge>,
    verifier: Option<&str>,
) -> Result<(), Refusal> {
    let fits = match (challenge, verifier) {
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
        (Some(challenge), Some(verifier)) if challenge.s256 => {
            same(&s256(verifier), &challenge.value)
        }
        (Some(challenge), Some(verifier)) => same(verifier, &challenge.value),
    };
    ctx.require(Rule::PkceVerifier, fits, || {
        let expected = match challenge {
            Some(challenge) if challenge.s256 => "a verifier whose SHA-256 is the challenge (S256)",
            Some(_) => "a verifier equal to the challenge (plain)",
            None => "no verifier: the authorize request had no challenge",
        };
        (
            expected,
            if verifier.is_some() {
                "another one"
            } else {
                "none"
            },
        )
    })?;
    let Some(verifier) = verifier else {
        return Ok(());
    };
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let shaped = (43..=128).contains(&verifier.len()) && verifier.chars().all(unreserved);
    ctx.require(Rule::PkceVerifierLength, shaped, || {
        let actual = format!("{} characters", verifier.chars().count());
        ("43 to 128 characters of A-Z a-z 0-9 - . _ ~", actual)
    })
}
