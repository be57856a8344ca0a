//! The guard: it tells programs, and pages that may call, from pages of other sites. A browser that has been led here by such a page
//! says so in headers that no script can set; a page under a name that leads to this machine says nothing, so `Host` is looked at first.

use hyper::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};

use super::names::Names;
use super::refusal::Refusal;
use super::routes::Place;

/// Who may be told the answer.
#[derive(Debug)]
pub(super) struct Entry {
    /// The name by which the client reached the bridge; none at the health endpoint, which has every name.
    pub(super) host: Option<String>,
    /// A page's origin, which is allowed.
    pub(super) origin: Option<HeaderValue>,
}

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

fn foreign(description: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "invalid_request", description)
}

/// The one value of a header. None if it is not there; an error if it is there twice, since a proxy may have looked at the other one.
fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (first, None) => Ok(first),
        _ => Err(Refusal::invalid(format!(
            "the request has the header {name} twice"
        ))),
    }
}

/// Judges who has sent a request.
///
/// # Errors
///
/// A [`Refusal`] with 403, or 400 for a request that says two things.
pub(super) fn enter(names: &Names, parts: &Parts, place: Place) -> Result<Entry, Refusal> {
    let headers = &parts.headers;
    let host = once(headers, &HOST)?.map(text);
    // In the absolute form the host is in the target as well (RFC 9112 §3.2.2).
    let target = parts.uri.authority().map(|authority| authority.as_str());
    if place != Place::Health {
        let Some(host) = host.or(target) else {
            return Err(Refusal::invalid("the request has no Host"));
        };
        if ![Some(host), target]
            .into_iter()
            .flatten()
            .all(|host| names.has(host))
        {
            return Err(foreign(
                "the header Host has a name that is not this bridge's: reach it by 127.0.0.1 or localhost and its port, or start it \
                 with --public-url, and --allow-host for further names",
            ));
        }
    }
    let origin = once(headers, &ORIGIN)?;
    if let Some(origin) = origin
        && !names.may_call(text(origin))
    {
        return Err(foreign(
            "a page of another origin has sent this: if it is yours, start the bridge with --allow-origin and its origin",
        ));
    }
    // Without this one no other counts: node's `fetch` sends Sec-Fetch-Mode alone.
    if let Some(site) = once(headers, &SITE)?.map(text)
        && origin.is_none()
    {
        let mode = once(headers, &MODE)?.map_or("", text);
        let dest = once(headers, &DEST)?.map_or("", text);
        let is_opened = mode == "navigate" && dest == "document" && parts.method != Method::POST;
        let is_fine = match place {
            // A login begins with a link or a redirect of the application's.
            Place::Authorize => is_opened,
            // A person looks at it.
            _ => matches!(site, "same-origin" | "none") && (is_opened || mode != "navigate"),
        };
        if !is_fine {
            return Err(foreign(
                "a browser has sent this for a page that is not allowed to: open /authorize in a tab, and call the other endpoints \
                 from a program",
            ));
        }
    }
    Ok(Entry {
        host: host
            .or(target)
            .filter(|_| place != Place::Health)
            .map(str::to_owned),
        origin: origin.cloned(),
    })
}

/// The text of a header; what is not a text equals none of the values that are looked for.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}
