//! What stood in the way of a request, as reqwest tells it.

use std::error::Error as _;
use std::iter::successors;

use coze_auth_store::{NetworkError, Obstacle};

/// reqwest's error without its URL, whose query may hold what is nobody's business. `proxy` is `host:port` of the
/// proxy that the request went to, as far as that is known.
pub(crate) fn network_error(error: reqwest::Error, proxy: Option<String>) -> NetworkError {
    let error = error.without_url();
    let (obstacle, was_proxied) = obstacle(&error);
    NetworkError::new(
        error,
        obstacle,
        proxy.or_else(|| was_proxied.then(String::new)),
    )
}

/// And whether a proxy was on the way for sure.
fn obstacle(error: &reqwest::Error) -> (Obstacle, bool) {
    let chain = || successors(error.source(), |&cause| cause.source());
    let hyper = chain().find_map(|cause| cause.downcast_ref::<hyper::Error>());
    // hyper-util does not export the types.
    let proxy = chain().find_map(|cause| {
        let words = cause.to_string();
        let socks = words.strip_prefix("SOCKS error: ");
        let tunnel = words.strip_prefix("tunnel error: ");
        Some((socks.or(tunnel)?.to_owned(), socks.is_some()))
    });
    let words = proxy.as_ref().map(|(words, _)| &**words);
    let is_socks = proxy.as_ref().is_some_and(|(_, is_socks)| *is_socks);
    let obstacle = match words {
        Some(
            "proxy authorization required"
            | "credentials not accepted"
            | "server does not support user/pass authentication",
        ) => Obstacle::ProxyAuthentication,
        Some("unsuccessful" | "unexpected end of file" | "proxy response headers too long") => {
            Obstacle::ProxyRefused
        }
        Some("could not resolve to acceptable address type") => Obstacle::UnknownName,
        // What is below it cannot be seen.
        Some("failed to create underlying connection") if is_socks => Obstacle::ProxyUnreachable,
        Some(_) if is_socks => Obstacle::ProxyRefused,
        _ if error.is_timeout() && error.is_connect() => Obstacle::ConnectTimeout,
        _ if error.is_timeout() => Obstacle::Timeout,
        _ if error.is_dns() => Obstacle::UnknownName,
        _ if hyper.is_some_and(hyper::Error::is_parse) => Obstacle::NotHttp,
        _ if hyper.is_some_and(hyper::Error::is_incomplete_message) => Obstacle::Closed,
        _ => Obstacle::of(error),
    };
    (obstacle, proxy.is_some())
}
