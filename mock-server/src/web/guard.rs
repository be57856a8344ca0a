//! The guard of all planes. It looks at each request before its world is looked for, and tells programs, and pages that may ask,
//! from pages of other sites: those must neither make a world nor change one.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;

use super::cors::Page;
use super::in_world::named_in_query;
use super::picture;
use super::routes::{CONTROL_AT, into_response};
use crate::html::language;
use crate::html::page::{Detail, Message, Mood, page};
use crate::html::texts::{EN, Texts};
use crate::net::addressing::Addressing;
use crate::protocol::endpoint::{Endpoint, PICTURE};
use crate::protocol::response::{self, Reply, json_reply};
use crate::redact::{self, places};
use crate::world::World;
use crate::world::worlds::PREFIX;

/// A header that Coze does not have: why the guard has refused.
const GUARD: HeaderName = HeaderName::from_static("x-mock-guard");

/// What the guard does with a request.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It goes on to its world.
    Passes,
    /// It goes on, and the page that sent it may read the answer.
    PassesFor(Page),
    /// It was answered already.
    Answered(Box<Response>),
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// `Host` or `Origin` is there twice, so that a proxy may have looked at the other one.
    Twice,
    Host,
    Origin,
    /// An image, a script, a frame or a beacon.
    Embedded,
    /// A browser opened what is for programs.
    Opened,
    /// A form that is not one of ours.
    Form,
    /// A page of another site leads to a world that does not exist.
    NewWorld,
}

impl Refusal {
    const fn name(self) -> &'static str {
        match self {
            Self::Twice => "twice",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Embedded => "embedded",
            Self::Opened => "opened",
            Self::Form => "form",
            Self::NewWorld => "new-world",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Twice => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        }
    }

    /// What happened, and what to do.
    const fn texts(self, t: &'static Texts) -> (&'static str, &'static str) {
        match self {
            Self::Twice => (t.guard_twice, t.guard_twice_fix),
            Self::Host => (t.guard_host, t.guard_host_fix),
            Self::Origin => (t.guard_origin, t.guard_origin_fix),
            Self::Embedded => (t.guard_embedded, t.guard_embedded_fix),
            Self::Opened => (t.guard_opened, t.guard_opened_fix),
            Self::Form => (t.guard_form, t.guard_form_fix),
            Self::NewWorld => (t.guard_new_world, t.guard_new_world_fix),
        }
    }
}

/// What the headers of a request say of its sender. `Sec-Fetch-*` and `Origin` are out of the reach of a page's script; a page
/// under a name that leads to this machine has neither, so the host is looked at as well.
#[derive(Default)]
struct Sender<'a> {
    host: Option<&'a str>,
    origin: Option<&'a HeaderValue>,
    /// Of `Sec-Fetch-Site`, without which no other one counts: node's `fetch` sends `Sec-Fetch-Mode` alone.
    site: Option<&'a str>,
    mode: &'a str,
    dest: &'a str,
    referer: &'a str,
    has_bearer: bool,
    has_browser_name: bool,
    takes_html: bool,
    /// `Access-Control-Request-Method`.
    asks_beforehand: bool,
}

impl<'a> Sender<'a> {
    /// Reads the headers in one pass. None if `Host` or `Origin` is there twice.
    fn of(headers: &'a HeaderMap) -> Option<Self> {
        let mut sender = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "host" if sender.host.replace(text(value)).is_some() => return None,
                "origin" if sender.origin.replace(value).is_some() => return None,
                "sec-fetch-site" => sender.site = Some(text(value)),
                "sec-fetch-mode" => sender.mode = text(value),
                "sec-fetch-dest" => sender.dest = text(value),
                "referer" => sender.referer = text(value),
                "authorization" => sender.has_bearer = is_bearer(value),
                "user-agent" => sender.has_browser_name = value.as_bytes().starts_with(b"Mozilla/"),
                "accept" => sender.takes_html = takes_html(value),
                "access-control-request-method" => sender.asks_beforehand = true,
                _ => {}
            }
        }
        Some(sender)
    }

    /// Returns true if a browser sent it that does not say for which site: an old one, or one that does not trust the connection,
    /// as is plain http to a name that is not of this machine. It leaves `Origin` out of these methods, and no page makes it send a
    /// Bearer credential without `Origin`. A password that a person has typed it sends by itself.
    fn is_silent_browser(&self, method: &Method) -> bool {
        self.has_browser_name && !self.has_bearer && matches!(*method, Method::GET | Method::HEAD)
    }

    /// What it says of itself, for people.
    fn described(&self) -> String {
        let all = [
            ("Origin", self.origin.map_or("", text)),
            ("Sec-Fetch-Site", self.site.unwrap_or_default()),
            ("Sec-Fetch-Mode", self.mode),
            ("Sec-Fetch-Dest", self.dest),
        ];
        let said = all.into_iter().filter(|(_, value)| !value.is_empty());
        let said: Vec<_> = said
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        said.join(", ")
    }

    /// How a browser has sent it. None of these is what a script of the same page does, which is always fine.
    fn how(&self) -> How {
        let Some(site) = self.site else {
            return match (self.origin, self.takes_html) {
                (Some(_), _) => How::Called,
                (None, true) => How::Opened,
                (None, false) => How::Embedded,
            };
        };
        match (self.mode, self.dest) {
            ("navigate", "document") => How::Opened,
            ("navigate", _) => How::Embedded,
            _ if site == "none" => How::Called,
            ("no-cors", _) => How::Embedded,
            // A browser sends it with a call that a page may read the answer of.
            _ if self.origin.is_none() => How::Embedded,
            _ => How::Called,
        }
    }
}

/// How a browser sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// In a tab: a link, a form, a redirect, or by hand.
    Opened,
    /// As an image, a script, a frame or a beacon.
    Embedded,
    /// By a script, which reads the answer if it may.
    Called,
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Programs: Coze's API.
    Api,
    /// People, and of the data plane all the same.
    Authorize,
    /// People: the pages that decide, and the dashboard.
    Page,
    /// Programs: the control plane.
    Control,
}

impl Place {
    /// `path` is that below the world.
    fn of(path: &str) -> Self {
        match path.strip_prefix(CONTROL_AT) {
            Some(below) if below.is_empty() || below.starts_with('/') => return Self::Control,
            _ => {}
        }
        match path {
            "/oauth/consent" | "/oauth/device-activation" => Self::Page,
            "/" => Self::Authorize,
            _ if path.starts_with("/_mock") => Self::Page,
            _ if matches!(Endpoint::of(path), Endpoint::Authorize { .. }) => Self::Authorize,
            _ => Self::Api,
        }
    }

    /// Returns true if it is of the data plane, which pages of other origins may call.
    const fn is_data(self) -> bool {
        matches!(self, Self::Api | Self::Authorize)
    }
}

/// The name of the world in a path, and the path below it.
fn split(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix(PREFIX) else {
        return (None, path);
    };
    match rest.find('/') {
        Some(at) => (Some(&rest[..at]), &rest[at..]),
        None => (Some(rest), "/"),
    }
}

/// Looks at a request before its world is found or made. `root` is the world at `/`; if it is `alone`, no other one is reached.
pub(crate) fn enter(root: &Arc<World>, alone: bool, request: &Request) -> Entry {
    let (headers, uri) = (request.headers(), request.uri());
    let Some(sender) = Sender::of(headers) else {
        return refused(request, Refusal::Twice, "");
    };
    // By HTTP/2, and in the absolute form of HTTP/1.1, the host is in the target.
    let target = uri.authority().map(http::uri::Authority::as_str);
    let own = Own {
        addressing: &root.addressing,
        headers,
        host: sender.host.or(target),
    };
    for host in [sender.host, target].into_iter().flatten() {
        if !own.is_known_host(host) {
            return refused(request, Refusal::Host, host);
        }
    }
    let is_program = sender.site.is_none()
        && sender.origin.is_none()
        && !sender.is_silent_browser(request.method());
    if is_program && !picture::is_at(uri.path()) {
        return Entry::Passes;
    }
    let (name, below) = match alone {
        true => (None, uri.path()),
        false => split(uri.path()),
    };
    let place = Place::of(below);
    if !is_program && let Err(refusal) = judge(&own, &sender, request.method(), place, below) {
        return refused(request, refusal, &sender.described());
    }
    if picture::is_at(uri.path()) {
        return Entry::Answered(Box::new(picture::answer(request.method())));
    }
    let name = name.map_or_else(
        || named_in_query(uri).map(Cow::Owned),
        |name| Some(name.into()),
    );
    let world = name
        .as_deref()
        .filter(|_| !alone)
        .map(|name| root.other(name));
    // Who can make worlds can evict those that are in use.
    if matches!(world, Some(None)) && !own.may_make_worlds(&sender) {
        return refused(request, Refusal::NewWorld, &name.unwrap_or_default());
    }
    let Some(origin) = sender.origin.filter(|_| place.is_data()) else {
        return Entry::Passes;
    };
    // A new one takes the rules of the mock.
    let world = world.flatten().unwrap_or_else(|| root.clone());
    let page = Page::new(origin, &world.state().settings.rules);
    match page {
        Some(page) if sender.asks_beforehand && request.method() == Method::OPTIONS => {
            Entry::Answered(Box::new(page.preflight()))
        }
        Some(page) => Entry::PassesFor(page),
        None => Entry::Passes,
    }
}

/// What belongs to the mock, as one request sees it.
struct Own<'a> {
    addressing: &'a Addressing,
    headers: &'a HeaderMap,
    host: Option<&'a str>,
}

impl Own<'_> {
    /// Returns true if clients may have found the mock under this authority. A trusted proxy reports the name by which it was
    /// found itself, and may leave it in `Host` as well.
    fn is_known_host(&self, authority: &str) -> bool {
        self.addressing.is_known_to_clients(authority) || self.is_forwarded(authority)
    }

    fn is_forwarded(&self, authority: &str) -> bool {
        self.addressing.forwarded(self.headers).host.as_deref() == Some(authority)
    }

    /// Returns true if the origin is the mock's own.
    fn has(&self, origin: &str) -> bool {
        let Some((_, authority)) = origin.split_once("://") else {
            return false;
        };
        self.host == Some(authority)
            || self.addressing.is_public_authority(authority)
            || self.is_forwarded(authority)
    }

    /// Returns true if pages of this origin may call what the place is for.
    fn may_call(&self, origin: &str, place: Place) -> bool {
        match (place, origin.split_once("://")) {
            // Whatever origins are configured.
            (Place::Control, Some((_, authority))) => self.addressing.is_own(authority),
            (Place::Control, None) => false,
            _ => self.addressing.allowed_origins.has(origin) || self.has(origin),
        }
    }

    /// Returns true unless a page of another site may have led a browser to the request. Such a page can leave its address out, but
    /// cannot give another.
    fn may_make_worlds(&self, sender: &Sender<'_>) -> bool {
        let is_near = matches!(sender.site, Some("same-origin" | "none"));
        // An origin was looked at already.
        is_near || sender.origin.is_some() || self.may_call(origin_of(sender.referer), Place::Api)
    }
}

/// Judges a request that a browser sent, or that has an `Origin`.
fn judge(
    own: &Own<'_>,
    sender: &Sender<'_>,
    method: &Method,
    place: Place,
    path: &str,
) -> Result<(), Refusal> {
    if sender.site == Some("same-origin") {
        return Ok(());
    }
    let origin = sender.origin.map(text);
    if origin.is_some_and(|origin| !own.may_call(origin, place)) {
        return Err(Refusal::Origin);
    }
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if place == Place::Page && !reads {
        let is_own = sender.site.is_none() && origin.is_some_and(|origin| own.has(origin));
        return is_own.then_some(()).ok_or(Refusal::Form);
    }
    match (sender.how(), place) {
        (How::Called, _) => Ok(()),
        (How::Opened, _) if !reads => Err(Refusal::Form),
        (How::Opened, Place::Authorize | Place::Page) => Ok(()),
        (How::Opened, Place::Control) if matches!(sender.site, Some("none") | None) => Ok(()),
        (How::Opened, _) => Err(Refusal::Opened),
        (How::Embedded, _) if reads && path == PICTURE => Ok(()),
        (How::Embedded, _) => Err(Refusal::Embedded),
    }
}

/// The text of a header; what is not a text equals none of the values that are looked for.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> &str {
    let Some(at) = url.find("://") else {
        return "";
    };
    let end = url[at + 3..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..at + 3 + end])
}

fn is_bearer(authorization: &HeaderValue) -> bool {
    let scheme = authorization.as_bytes().get(..7);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

fn takes_html(accept: &HeaderValue) -> bool {
    text(accept).contains("text/html")
}

/// Refuses a request, as a page if a browser opened it, and says so in the log: a page of another origin is not shown the answer.
fn refused(request: &Request, refusal: Refusal, sent: &str) -> Entry {
    let headers = request.headers();
    let (world, below) = split(request.uri().path());
    let status = refusal.status();
    let sent = redact::scrub(sent);
    let (text, fix) = refusal.texts(&EN);
    tracing::warn!(
        world = world.map(redact::scrub),
        method = places::method(request.method()),
        path = &*places::path(below, None),
        status = status.as_u16(),
        refused = refusal.name(),
        sent,
        "{text} {fix}"
    );
    let mut response = if headers.get(ACCEPT).is_some_and(takes_html) {
        into_response(as_page(headers, status, refusal, &sent))
    } else {
        let text = match sent.as_str() {
            "" => format!("{text} {fix}"),
            sent => format!("{text} {fix} ({sent})"),
        };
        let body = match Place::of(below) {
            Place::Control => json!({ "error": text }),
            // Not a code of Coze's, whose meaning would be a wrong reason here.
            _ => {
                let endpoint = Endpoint::of(below);
                let of_workload = matches!(endpoint, Endpoint::WorkloadToken { .. });
                let code = match below.starts_with("/api/permission/") || of_workload {
                    true => "foreign_request",
                    false => "4000",
                };
                response::error_body(endpoint, code, &text, "")
            }
        };
        into_response(json_reply(status, body.to_string()))
    };
    response
        .headers_mut()
        .insert(GUARD, HeaderValue::from_static(refusal.name()));
    Entry::Answered(Box::new(response))
}

fn as_page(headers: &HeaderMap, status: StatusCode, refusal: Refusal, sent: &str) -> Reply {
    let t = language::texts(headers);
    let (text, fix) = refusal.texts(t);
    let detail = |id, name, value| Detail { id, name, value };
    let details = [detail("fix", t.fix, fix), detail("actual", t.actual, sent)];
    let shown = if sent.is_empty() { 1 } else { 2 };
    let message = Message {
        t,
        title: t.guard_title,
        text,
        mood: Mood::Failed,
        details: &details[..shown],
        on: None,
    };
    page(status, t, &message)
}
