//! Access checks of the control plane.

use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};

use crate::net::addressing::Addressing;
use crate::protocol::digest::same;

/// Returns true if `Host` and `Origin` are of this machine or the mock's own.
pub(crate) fn comes_from_here(addressing: &Addressing, request: &Request) -> bool {
    let headers = request.headers();
    let is_own = |authority: &str| addressing.is_own(authority);
    let host_here = match headers.get(HOST) {
        Some(host) => host.to_str().is_ok_and(is_own),
        None => request.uri().host().is_none_or(is_own),
    };
    let origin_here = headers.get(ORIGIN).is_none_or(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, host)| is_own(host))
    });
    host_here && origin_here
}

/// Returns true if the request has the admin token: as Bearer credential, or as the password of Basic authentication with
/// any user name.
pub(crate) fn has_token(addressing: &Addressing, headers: &HeaderMap) -> bool {
    let Some(wanted) = &addressing.admin_token else {
        return true;
    };
    let sent = headers
        .get(AUTHORIZATION)
        .and_then(|sent| sent.to_str().ok());
    let sent = sent.and_then(|sent| sent.split_once(' '));
    sent.is_some_and(
        |(scheme, sent)| match scheme.to_ascii_lowercase().as_str() {
            "bearer" => same(sent.trim(), wanted),
            "basic" => password(sent.trim()).is_some_and(|password| same(&password, wanted)),
            _ => false,
        },
    )
}

/// The password of Basic authentication (RFC 7617 §2).
fn password(sent: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(sent).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(password.to_owned())
}
