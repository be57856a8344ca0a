//! The base URL under which a client sees a world.

use http::header::HOST;
use http::{HeaderMap, Uri};

use crate::net::addressing::is_plain_host;
use crate::world::World;

/// The base URL of a world, as the client of a control sees it.
pub(crate) fn seen(world: &World, headers: &HeaderMap, original: &Uri) -> String {
    let path = original.path();
    let at = path.rfind("/_mock/v1").unwrap_or(path.len());
    base(world, headers, original, &path[at..])
}

/// Scheme, host and mount point: of the public URL, else from a trusted proxy, else from the request, so that URLs in the
/// answer work for the client. A client at the world's own port stays there.
pub(crate) fn base(world: &World, headers: &HeaderMap, original: &Uri, path: &str) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| original.authority().map(http::uri::Authority::as_str));
    if world.addressing.public_url.is_some() && !is_own_port(world, host) {
        return world.base_url().to_owned();
    }
    let seen = world.addressing.forwarded(headers);
    let host = seen.host.as_deref().or(host);
    let mount = original.path().strip_suffix(path).unwrap_or("");
    match host.filter(|host| is_plain_host(host)) {
        Some(host) => {
            let scheme = seen
                .scheme
                .or_else(|| original.scheme_str())
                .unwrap_or_else(|| world.addressing.scheme());
            [scheme, "://", host, &seen.prefix, mount].concat()
        }
        // The URL of the socket has the mount already.
        None => match world.base_url.get() {
            Some(url) => url.clone(),
            None => format!("{}{mount}", world.base_url()),
        },
    }
}

/// Returns true if the host has the number of the world's own port.
fn is_own_port(world: &World, host: Option<&str>) -> bool {
    let port = host.and_then(|host| host.rsplit_once(':')?.1.parse().ok());
    port.is_some() && port == world.port()
}
