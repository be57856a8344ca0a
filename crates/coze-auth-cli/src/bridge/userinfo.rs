//! The profile of the user whose token it is, flat, as generic logins want it. It has the names of OpenID Connect, and is not that.

use coze_auth::{AccessToken, core};
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;

use super::Shared;
use super::refusal::Refusal;
use super::routes::{Reply, json};
use super::upstream::Upstream;

#[derive(Serialize)]
struct Profile<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<&'a str>,
}

/// # Errors
///
/// RFC 6750 §3.1's: `invalid_token`, `insufficient_scope`.
pub(super) async fn reply(
    shared: &Shared,
    upstream: &Upstream<'_>,
    headers: &HeaderMap,
) -> Result<Reply, Refusal> {
    let token = bearer(headers)?;
    let user = upstream.run(core::whoami(&shared.endpoints, &token)).await;
    let user = user.map_err(|error| Refusal::of_api(&error))?;
    let names = [&user.nick_name, &user.user_name];
    let name = names.into_iter().find(|name| !name.is_empty());
    Ok(json(
        StatusCode::OK,
        &Profile {
            sub: &user.user_id,
            name: name.map(|name| name.as_raw()),
            picture: user.avatar_url.as_deref(),
        },
    ))
}

/// The Bearer token of a request (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<AccessToken, Refusal> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let header = match (all.next(), all.next()) {
        (None, _) => return Err(Refusal::no_token()),
        (Some(header), None) => header,
        _ => {
            return Err(Refusal::token(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "the request has the header Authorization twice",
            ));
        }
    };
    let text = header.to_str().unwrap_or_default();
    let Some((scheme, token)) = text.split_once(' ') else {
        return Err(Refusal::no_token());
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::no_token());
    }
    // One from the console is as good as that of a login.
    AccessToken::new(token.trim()).map_err(|_| {
        Refusal::token(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "the access token is not one that Coze gives",
        )
    })
}
