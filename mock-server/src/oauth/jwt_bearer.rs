//! The JWT grant (protocol §5). The assertion is parsed with serde and verified with aws-lc-rs, without a process-wide
//! crypto provider, so it does not depend on the backend that the user's program chooses.

use http::header::HOST;
use serde_json::Value;

use super::context::Context;
use crate::limits::MAX_JWT_TOKEN_S;
use crate::protocol::assertion::Assertion;
use crate::protocol::digest::digest;
use crate::protocol::json_body::{JsonObject, Part, kind_of};
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Credential;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact::{self, json};
use crate::state::app::AppKind;
use crate::state::grants::AppIndex;
use crate::state::jti::Jti;

const PUBLIC_AUDIENCES: [&str; 2] = ["api.coze.cn", "api.coze.com"];

pub(crate) fn exchange(ctx: &mut Context<'_>, body: &JsonObject<'_>) -> Result<Answer, Refusal> {
    let credential = ctx.request.credential()?;
    let Credential::Bearer(assertion) = credential else {
        let actual = credential.describe(ctx.request.has_authorization());
        return Err(refuse(
            Rule::JwtPresent,
            "the assertion as Bearer credential",
            actual,
        ));
    };
    let jwt = Assertion::parse(assertion).map_err(|actual| {
        refuse(
            Rule::JwtForm,
            "three base64url parts, two of them JSON",
            actual,
        )
    })?;
    ctx.draft.jwt = Some([json::claims(&jwt.header), json::claims(&jwt.claims)]);
    let iss = jwt.claims.get("iss").and_then(Value::as_str);
    ctx.draft.client = iss.map(redact::scrub);

    // The mock knows no extensions, so it understands none that `crit` lists (RFC 7515 §4.1.11).
    if jwt.header.contains_key("crit") {
        let expected = "a header without crit";
        return Err(refuse(Rule::JwtForm, expected, "a header with crit"));
    }

    let app = check_key(ctx, &jwt)?;
    check_claims(ctx, &jwt, app)?;
    let ttl = duration(body, ctx.state.settings.ttl.access)?;
    if let Some(scope) = body.get("scope") {
        check_scope(scope)?;
    }
    let origin = ctx.origin(None);
    let tokens = ctx.state.issue_service(app, ctx.now_ms, ttl, origin);
    Ok(ctx.hand_out(&tokens))
}

fn refuse(rule: Rule, expected: &str, actual: impl Into<String>) -> Refusal {
    Refusal {
        rule,
        detail: String::new(),
        expected: expected.to_owned(),
        actual: actual.into(),
    }
}

/// Checks header, issuer and signature.
fn check_key(ctx: &mut Context<'_>, jwt: &Assertion<'_>) -> Result<AppIndex, Refusal> {
    let alg = jwt.header.get("alg").and_then(Value::as_str);
    ctx.require(Rule::JwtAlg, alg == Some("RS256"), || {
        (
            "alg RS256",
            format!("alg {}", redact::places::value(alg.unwrap_or("missing"))),
        )
    })?;
    let kid = jwt.header.get("kid").and_then(Value::as_str);
    let owner = ctx
        .state
        .apps
        .iter()
        .position(|app| !app.removed && kid.is_some_and(|kid| app.key(kid).is_some()));
    ctx.require(Rule::JwtKid, owner.is_some(), || {
        (
            "a registered kid",
            format!("kid {}", redact::scrub(kid.unwrap_or("missing"))),
        )
    })?;
    let iss = jwt.text("iss")?;
    let named = ctx.state.app_named(iss);
    if let Some(app) = named {
        ctx.usable(app, &[AppKind::Jwt])?;
    }
    let owns = named.is_some() && named.map(usize::from) == owner;
    ctx.require(Rule::JwtIss, owns, || {
        (
            "the id of the app that owns the key",
            format!("iss {}", redact::scrub(iss)),
        )
    })?;
    let key = named.and_then(|app| ctx.state.app(app).key(kid?));
    let verified = key.is_some_and(|key| {
        let signed = jwt.signed.as_bytes();
        key.public.verify_sig(signed, &jwt.signature).is_ok()
    });
    ctx.require(Rule::JwtSignature, verified, || {
        let expected = format!(
            "an RS256 signature with the private key of {}",
            kid.unwrap_or("")
        );
        (
            expected,
            format!("{} bytes that do not verify", jwt.signature.len()),
        )
    })?;
    Ok(named.unwrap_or_default())
}

fn check_claims(ctx: &mut Context<'_>, jwt: &Assertion<'_>, app: AppIndex) -> Result<(), Refusal> {
    check_audience(ctx, jwt)?;
    let (iat, exp) = (jwt.seconds("iat")?, jwt.seconds("exp")?);
    let now = i64::try_from(ctx.now_ms / 1000).unwrap_or(i64::MAX);
    ctx.require(Rule::JwtExpAfterIat, exp > iat, || {
        (format!("exp after iat, {iat}"), format!("exp {exp}"))
    })?;
    ctx.require(Rule::JwtExp, exp > now, || {
        (format!("exp after now, {now}"), format!("exp {exp}"))
    })?;
    let jti = jwt.text("jti")?;
    let key = digest(&format!("{app} {jti}"));
    let now = ctx.now_ms / 1000;
    let seen = ctx.state.jtis.look_up(&key, now);
    ctx.require(Rule::JwtJti, seen != Jti::Replayed, || {
        ("a jti that was not used before", "one that was")
    })?;
    // If assertions may be replayed, the memory is not needed.
    let replays = !ctx.state.settings.rules.is_on(Rule::JwtJti);
    ctx.require(Rule::JwtJtiRoom, seen != Jti::Full || replays, || {
        (
            "space in the jti memory",
            "the jti memory is full of assertions that have not expired",
        )
    })?;
    // From here on the assertion is spent, even if the body is then refused.
    // Without the expiry rule an assertion is valid for ever, and its jti is kept for ever.
    let until = match ctx.state.settings.rules.is_on(Rule::JwtExp) {
        true => u64::try_from(exp).unwrap_or_default(),
        false => u64::MAX,
    };
    if seen != Jti::Full {
        ctx.state.jtis.remember(key, until);
    }
    Ok(())
}

/// Checks `aud`, with or without the port, since SDKs differ in that (protocol §1.3).
fn check_audience(ctx: &mut Context<'_>, jwt: &Assertion<'_>) -> Result<(), Refusal> {
    let own = ctx.request.host();
    let bare = host_without_port(own);
    // With a public URL or a proxy, nearer clients may use the mock's own address.
    let straight = ctx
        .request
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let straight = straight.unwrap_or(own);
    let fits = |aud: &str| {
        let nearer = [straight, host_without_port(straight)];
        let known = PUBLIC_AUDIENCES
            .into_iter()
            .chain([own, bare])
            .chain(nearer);
        known.into_iter().any(|host| aud.eq_ignore_ascii_case(host))
    };
    let holds = jwt.audiences().any(fits);
    ctx.require(Rule::JwtAud, holds, || {
        let actual = match jwt.claims.get("aud") {
            Some(Value::String(aud)) => format!("aud {}", redact::scrub(aud)),
            Some(other) => format!("aud: {}", kind_of(other)),
            None => "no aud".to_owned(),
        };
        (
            format!("api.coze.cn, api.coze.com, {own} or {bare}"),
            actual,
        )
    })
}

fn host_without_port(authority: &str) -> &str {
    let port = authority
        .rfind(':')
        .filter(|colon| !authority[*colon..].contains(']'));
    port.map_or(authority, |colon| &authority[..colon])
}

/// The requested lifetime, at most 86399 seconds; `usual_s` if it is omitted, as cozeloop-java does.
fn duration(body: &JsonObject<'_>, usual_s: u64) -> Result<u64, Refusal> {
    let Some(value) = body.get("duration_seconds") else {
        return Ok(usual_s);
    };
    let number = match value {
        Part::Other(Value::Number(number)) => Some(number),
        _ => None,
    };
    let seconds = number.and_then(serde_json::Number::as_u64);
    let fits = seconds.filter(|s| (1..=MAX_JWT_TOKEN_S).contains(s));
    fits.ok_or_else(|| {
        let actual = match number {
            Some(number) => number.to_string(),
            None => value.kind().to_owned(),
        };
        refuse(Rule::JwtDuration, "a whole number from 1 to 86399", actual)
    })
}

fn check_scope(scope: Part<'_>) -> Result<(), Refusal> {
    let expected = "an object whose members are objects or null";
    let Part::Other(Value::Object(members)) = scope else {
        return Err(refuse(Rule::JwtScope, expected, scope.kind()));
    };
    let wrong = members
        .iter()
        .find(|(_, part)| !part.is_object() && !part.is_null());
    match wrong {
        None => Ok(()),
        Some((name, part)) => {
            let actual = format!("{}: {}", redact::json::member_name(name), kind_of(part));
            Err(refuse(Rule::JwtScope, expected, actual))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_cut_off_the_host_alone() {
        for (authority, host) in [
            ("127.0.0.1:9777", "127.0.0.1"),
            ("api.coze.cn", "api.coze.cn"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host_without_port(authority), host);
        }
    }
}
