//! Access checks of the control plane.

use std::net::IpAddr;

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
    let is_here = |authority: &str| is_here(addressing, authority);
    let host_here = match headers.get(HOST) {
        Some(host) => host.to_str().is_ok_and(is_here),
        None => request.uri().host().is_none_or(is_here),
    };
    let origin_here = headers.get(ORIGIN).is_none_or(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, host)| is_here(host))
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

fn is_here(addressing: &Addressing, authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').unwrap_or(("", "")),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let here = host.eq_ignore_ascii_case("localhost")
        || addressing.is_own_host(host)
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    here && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_counts_as_local() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:9777",
            "127.8.9.1",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_here(&Addressing::default(), host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:1",
            "127.0.0.1.evil.example",
            "[::1]evil.example",
            "127.0.0.1:1.evil.example",
            "localhost:evil.example",
            "[::1]:1.evil.example",
            "localhost:",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(!is_here(&Addressing::default(), host), "{host}");
        }
    }
}
