//! The authorize endpoint: it sends a browser on to Coze's page, with the parameters that Coze has (protocol §2.2).

use coze_auth::endpoint::WorkspaceId;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use url::form_urlencoded::Serializer;

use super::Shared;
use super::form::Form;
use super::refusal::Refusal;
use super::routes::{Reply, empty};

/// In their order at Coze. It has no `scope`: what a login may do is set in the app's console.
const CARRIED: [&str; 6] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// Whatever the request has, the browser goes to the configured www host. Where it goes from there is Coze's to decide: it knows the
/// redirect URIs of an app, and the bridge does not. For the same reason a refusal is told here, and not at the redirect URI.
///
/// # Errors
///
/// `invalid_request` and `unsupported_response_type`.
pub(super) fn redirect(shared: &Shared, query: &str) -> Result<Reply, Refusal> {
    let form = Form::parse(query.as_bytes())?;
    if form.get("client_secret").is_some() {
        return Err(Refusal::invalid(
            "the URL has a client secret, which browsers and logs show: it belongs to the token request alone. Replace the secret in \
             Coze's console",
        ));
    }
    if form.need("response_type")? != "code" {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "unsupported_response_type",
            "Coze has response_type=code alone: choose the authorization code flow",
        ));
    }
    form.need("client_id")?;
    form.need("redirect_uri")?;
    let workspace = form.get("workspace_id").map(WorkspaceId::new).transpose();
    let workspace = workspace.map_err(|error| Refusal::invalid(error.to_string()))?;
    let mut url = match &workspace {
        None => shared.authorize_page.clone(),
        Some(_) => {
            let page = shared.endpoints.authorize_page(workspace.as_ref());
            page.map_err(|error| Refusal::invalid(error.to_string()))?
        }
    };
    url.push('?');
    let start = url.len();
    let mut query = Serializer::for_suffix(url, start);
    for name in CARRIED {
        if let Some(value) = form.get(name) {
            // It would arrive as another one; none of them has this mark.
            if value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(Refusal::invalid(format!(
                    "the parameter {name} is not UTF-8 (RFC 6749 appendix B)"
                )));
            }
            query.append_pair(name, value);
        }
    }
    let location = HeaderValue::from_str(&query.finish())
        .map_err(|_| Refusal::invalid("a parameter cannot be a part of an address"))?;
    let mut reply = empty(StatusCode::FOUND);
    reply.headers_mut().insert(LOCATION, location);
    Ok(reply)
}
