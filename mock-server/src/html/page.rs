//! The frame of every page, and the page of a message.

use askama::Template;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::texts::Texts;
use crate::protocol::response::Reply;

#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Message<'a> {
    pub(crate) t: &'static Texts,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    pub(crate) mood: Mood,
    pub(crate) details: &'a [Detail<'a>],
    /// Text and address of a link that continues.
    pub(crate) on: Option<(&'a str, &'a str)>,
}

/// How a message is meant, which its title shows.
#[derive(Clone, Copy)]
pub(crate) enum Mood {
    Done,
    /// It was done, and it is a refusal.
    Denied,
    Failed,
}

impl Mood {
    const fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

pub(crate) struct Detail<'a> {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) value: &'a str,
}

/// Headers of a page, which allow no scripts and nothing from other origins. `form-action` is left out, since browsers
/// apply it to the redirect to the app, too.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, POLICY),
    // Without a referrer a browser would send `Origin: null` with our own forms.
    (REFERRER_POLICY, "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (VARY, "Accept-Language"),
];

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn page(status: StatusCode, t: &Texts, template: &impl Template) -> Reply {
    let html = template.render().expect("our templates render");
    let mut reply = Response::new(Bytes::from(html));
    *reply.status_mut() = status;
    set_headers(reply.headers_mut(), t);
    reply
}

pub(crate) fn set_headers(headers: &mut HeaderMap, t: &Texts) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(t.lang));
}

/// The page of something that failed.
pub(crate) fn message(t: &'static Texts, status: StatusCode, title: &str, text: &str) -> Reply {
    told(t, status, Mood::Failed, title, text)
}

pub(crate) fn told(
    t: &'static Texts,
    status: StatusCode,
    mood: Mood,
    title: &str,
    text: &str,
) -> Reply {
    let message = Message {
        t,
        title,
        text,
        mood,
        details: &[],
        on: None,
    };
    page(status, t, &message)
}

pub(crate) fn undecided(t: &'static Texts, why: &str) -> Reply {
    message(t, StatusCode::BAD_REQUEST, t.undecided, why)
}
