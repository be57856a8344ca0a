//! What stood in the way of a request, as reqwest tells it.

use std::error::Error as _;
use std::iter::successors;

use coze_auth_tokens::{NetworkError, Obstacle};

/// reqwest's error without its URL, whose query may hold what is nobody's business. `proxy` is `host:port` of the
/// proxy that the request went to, as far as that is known.
pub(crate) fn network_error(error: reqwest::Error, proxy: Option<String>) -> NetworkError {
    let error = error.without_url();
    let mut chain = successors(error.source(), |&cause| cause.source());
    let hyper = chain.find_map(|cause| cause.downcast_ref::<hyper::Error>());
    let obstacle = match hyper {
        _ if error.is_timeout() && error.is_connect() => Obstacle::ConnectTimeout,
        _ if error.is_timeout() => Obstacle::Timeout,
        _ if error.is_dns() => Obstacle::UnknownName,
        Some(hyper) if hyper.is_parse() => Obstacle::NotHttp,
        Some(hyper) if hyper.is_incomplete_message() => Obstacle::Closed,
        _ => Obstacle::of(&error),
    };
    NetworkError::new(error, obstacle, proxy)
}
