//! What stood in the way of a request, as ureq tells it.

use std::io;

use coze_auth_core::http::Uri;
use coze_auth_tokens::{NetworkError, Obstacle};
use ureq::{Agent, Error, Proxy, Timeout};

/// ureq's error without its URL, whose query may hold what is nobody's business. `proxy` is `host:port` of the proxy
/// that the request went to.
pub(crate) fn network_error(error: Error, proxy: Option<String>) -> NetworkError {
    let error = match error {
        Error::RequireHttpsOnly(_) => Error::RequireHttpsOnly("http".to_owned()),
        other => other,
    };
    let obstacle = obstacle(&error);
    NetworkError::new(error, obstacle, proxy)
}

/// `host:port` of the proxy that an agent uses for this address.
pub(crate) fn proxy_of(agent: &Agent, uri: &Uri) -> Option<String> {
    let proxy = agent.config().proxy()?;
    (!proxy.is_no_proxy(uri)).then(|| address(proxy))
}

/// `host:port` of a proxy.
pub(crate) fn address(proxy: &Proxy) -> String {
    format!("{}:{}", proxy.host(), proxy.port())
}

/// ureq's error has no source: what it wraps is in its variants.
pub(crate) fn obstacle(error: &Error) -> Obstacle {
    match error {
        Error::Io(error) => Obstacle::of(error),
        Error::Rustls(error) => Obstacle::of(error),
        Error::Other(error) => Obstacle::of(&**error),
        Error::HostNotFound | Error::Timeout(Timeout::Resolve) => Obstacle::UnknownName,
        Error::Timeout(Timeout::Connect) => Obstacle::ConnectTimeout,
        Error::Timeout(_) => Obstacle::Timeout,
        Error::RequireHttpsOnly(_) => Obstacle::System(io::ErrorKind::Unsupported),
        Error::Protocol(_) => Obstacle::NotHttp,
        Error::Tls(_) => Obstacle::Handshake,
        other => Obstacle::of(other),
    }
}
