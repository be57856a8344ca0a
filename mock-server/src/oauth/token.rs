//! The token endpoint: every grant but JWT, which has a file of its own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::context::{Answer, Body, Call, Credential, Refusal};
use super::{device_code, jwt_bearer};
use crate::protocol::json_body::Members;
use crate::protocol::magic_values;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::Kind;
use crate::state::{AppIndex, Challenge, Code, RefreshToken};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a request has as its `grant_type`, and what the journal calls it.
pub(crate) const GRANTS: [(&str, &str); 4] = [
    ("authorization_code", "authorization_code"),
    ("refresh_token", "refresh_token"),
    (DEVICE_CODE, "device_code"),
    (JWT_BEARER, "jwt_bearer"),
];

fn name(grant_type: &str) -> Option<&'static str> {
    let found = GRANTS.into_iter().find(|(known, _)| *known == grant_type);
    found.map(|(_, name)| name)
}

/// The grant that a body asks for, before anything is required of it.
pub(crate) fn grant_of(body: &Body) -> Option<&'static str> {
    let Body::Whole(body) = body else { return None };
    let members: Members<'_> = serde_json::from_slice(body).ok()?;
    name(members.get("grant_type")?.as_str()?)
}

/// The member of the body that holds the token or code of a grant.
pub(crate) fn secret_of(grant: &str) -> Option<&'static str> {
    match grant {
        "authorization_code" => Some("code"),
        "refresh_token" => Some("refresh_token"),
        "device_code" => Some("device_code"),
        _ => None,
    }
}

/// `jwt_only`: the account and enterprise paths (protocol §2.1, E4 and E5).
pub(crate) fn token(call: &mut Call<'_>, jwt_only: bool) -> Result<Answer, Refusal> {
    let body = call.json_body()?;
    let grant = body.text("grant_type")?;
    let handler: fn(&mut Call<'_>, &Members<'_>) -> _ = match grant {
        JWT_BEARER => jwt_bearer::exchange,
        "authorization_code" if !jwt_only => exchange,
        "refresh_token" if !jwt_only => refresh,
        DEVICE_CODE if !jwt_only => device_code::poll,
        other => return Err(unsupported(other, jwt_only)),
    };
    call.note.grant = name(grant);
    let secret = call.note.grant.and_then(secret_of);
    if let Some(secret) = secret.and_then(|member| body.get(member)?.as_str()) {
        call.note.presents(secret);
    }
    handler(call, &body)
}

fn unsupported(grant: &str, jwt_only: bool) -> Refusal {
    let came = redact::scrub(grant);
    Refusal {
        rule: Rule::GrantSupported,
        detail: came.clone(),
        expected: match jwt_only {
            true => format!("{JWT_BEARER}, the one grant of this path"),
            false => format!("authorization_code, refresh_token, {DEVICE_CODE} or {JWT_BEARER}"),
        },
        came,
    }
}

fn exchange(call: &mut Call<'_>, body: &Members<'_>) -> Result<Answer, Refusal> {
    let app = call.client(body.text("client_id")?, &[Kind::Web, Kind::Pkce])?;
    authenticate(call, app)?;
    let secret = body.text("code")?;
    let redirect_uri = body.text("redirect_uri")?;
    let verifier = match body.get("code_verifier") {
        Some(_) => Some(body.text("code_verifier")?),
        None => None,
    };

    magic_values::check("code", secret)?;
    let key = call.key(secret);
    let Some(code) = call.world.codes.get(&key).cloned() else {
        let note = call.world.codes.eviction_note();
        return Err(Refusal {
            rule: Rule::CodeKnown,
            detail: String::new(),
            expected: "a code that this server issued".to_owned(),
            came: format!("unknown code {}{note}", redact::mask(secret)),
        });
    };
    check_code(call, &code, app, redirect_uri)?;
    check_verifier(call, code.challenge.as_deref(), verifier)?;
    let mark = call.mark();
    if let Some(code) = call.world.codes.get_mut(&key) {
        code.used = Some(mark);
    }
    let origin = call.origin(Some(&key));
    let tokens = call.world.issue_pair(app, code.user, call.now_ms, origin);
    Ok(call.hand_out(&tokens))
}

fn check_code(
    call: &mut Call<'_>,
    code: &Code,
    app: AppIndex,
    redirect_uri: &str,
) -> Result<(), Refusal> {
    let now = call.now_ms;
    call.require(Rule::CodeSingleUse, code.used.is_none(), || {
        ("a code that was not exchanged before", "one that was")
    })?;
    call.require(Rule::CodeExpiry, now < code.expires_ms, || {
        let late = (now - code.expires_ms) / 1000;
        (
            "a code that has not expired",
            format!("one that expired {late} s ago"),
        )
    })?;
    issued_to(call, Rule::CodeClient, code.app, app)?;
    call.require(
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

fn issued_to(
    call: &mut Call<'_>,
    rule: Rule,
    owner: AppIndex,
    app: AppIndex,
) -> Result<(), Refusal> {
    if owner == app {
        return Ok(());
    }
    let owner = call.world.app(owner).client_id.clone();
    call.require(rule, false, || {
        (
            format!("the client id {owner}, to which it was issued"),
            "another client id",
        )
    })
}

fn check_verifier(
    call: &mut Call<'_>,
    challenge: Option<&Challenge>,
    verifier: Option<&str>,
) -> Result<(), Refusal> {
    let fits = match (challenge, verifier) {
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
        (Some(challenge), Some(verifier)) if challenge.s256 => {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
            same(&hash, &challenge.value)
        }
        (Some(challenge), Some(verifier)) => same(verifier, &challenge.value),
    };
    call.require(Rule::PkceVerifier, fits, || {
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
    call.require(Rule::PkceVerifierLength, shaped, || {
        let came = format!("{} characters", verifier.chars().count());
        ("43 to 128 characters of A-Z a-z 0-9 - . _ ~", came)
    })
}

fn refresh(call: &mut Call<'_>, body: &Members<'_>) -> Result<Answer, Refusal> {
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

/// A web app proves itself with its secret as Bearer; public clients send nothing, or an empty
/// Bearer (protocol §2.3), and whatever they send is not looked at.
fn authenticate(call: &mut Call<'_>, app: AppIndex) -> Result<(), Refusal> {
    let credential = call.request.credential()?;
    let Some(secret) = call.world.app(app).client_secret.as_deref() else {
        return Ok(());
    };
    let header = call.request.has_authorization();
    let sent = match credential {
        Credential::Bearer(sent) => Some(sent),
        _ => None,
    };
    let (length, right) = (secret.len(), sent.is_some_and(|sent| same(sent, secret)));
    call.require(Rule::ClientSecretMissing, sent.is_some(), || {
        (
            "the client secret as Bearer credential",
            credential.describe(header),
        )
    })?;
    let Some(sent) = sent else { return Ok(()) };
    call.require(Rule::ClientSecret, right, || {
        let expected = format!("the client secret of the app, {length} characters");
        (
            expected,
            format!("{} other characters", sent.chars().count()),
        )
    })
}

/// In constant time, if they are of one length: explanations tell how long a secret is.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}
