//! The frame of every page, and the page that shows an error.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use url::form_urlencoded;

use super::language::texts;
use super::texts::Texts;
use crate::oauth::context::Refusal;
use crate::protocol::response::Reply;
use crate::redact;
use crate::state::World;
use crate::state::app::User;

#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Message<'a> {
    pub(crate) t: &'static Texts,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    pub(crate) failed: bool,
    pub(crate) details: &'a [Detail<'a>],
    /// The text and address of a way on.
    pub(crate) on: Option<(&'a str, &'a str)>,
}

pub(crate) struct Detail<'a> {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) value: &'a str,
}

/// No script, nothing from elsewhere. `form-action` is left out: browsers apply it to the redirect
/// back to the app too. The referrer is for the origin alone: with none at all a browser writes
/// `Origin: null` on the forms of our own pages.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
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

pub(crate) fn message(t: &'static Texts, status: StatusCode, title: &str, text: &str) -> Reply {
    let message = Message {
        t,
        title,
        text,
        failed: status != StatusCode::OK,
        details: &[],
        on: None,
    };
    page(status, t, &message)
}

pub(crate) fn undecided(t: &'static Texts, why: &str) -> Reply {
    message(t, StatusCode::BAD_REQUEST, t.undecided, why)
}

/// A refused authorize request is shown and never redirected (protocol §2.2: the page says so).
pub(crate) fn refused(
    headers: &HeaderMap,
    status: StatusCode,
    error: &str,
    refusal: &Refusal,
    logid: &str,
) -> Reply {
    let t = texts(headers);
    let row = refusal.rule.text();
    let detail = |id, name, value| Detail { id, name, value };
    let message = refusal.message();
    let page_of = Message {
        t,
        title: t.oauth_error,
        text: t.refused_text,
        failed: true,
        details: &[
            detail("error", t.error, error),
            detail("message", t.message, &message),
            detail("rule", t.rule, refusal.rule.id()),
            detail("meaning", t.meaning, &row.text),
            detail("expected", t.expected, &refusal.expected),
            detail("came", t.came, &refusal.came),
            detail("fix", t.fix, &row.fix),
            detail("logid", "Logid", logid),
        ],
        on: None,
    };
    page(status, t, &page_of)
}

/// The error of a script, where a person looks at it.
pub(crate) fn scripted(
    headers: &HeaderMap,
    status: StatusCode,
    error: &str,
    message: &str,
    logid: &str,
) -> Reply {
    let t = texts(headers);
    let detail = |id, name, value| Detail { id, name, value };
    let page_of = Message {
        t,
        title: t.oauth_error,
        text: t.scripted_text,
        failed: true,
        details: &[
            detail("error", t.error, error),
            detail("message", t.message, message),
            detail("logid", "Logid", logid),
        ],
        on: None,
    };
    page(status, t, &page_of)
}

/// The values of a form or query: the first of each name, since a browser sends no other for our forms.
pub(crate) struct Fields(HashMap<String, String>);

impl Fields {
    pub(crate) fn of(form: &[u8]) -> Self {
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            fields
                .entry(name.into_owned())
                .or_insert_with(|| value.into_owned());
        }
        Self(fields)
    }

    /// Empty if it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// The user who was chosen on a page; the one at the browser if it left no choice.
pub(crate) fn chosen(world: &World, fields: &Fields) -> Option<Arc<User>> {
    match fields.get("user") {
        "" => Some(world.user.clone()),
        name => {
            let mut users = world.settings.users.iter();
            users.find(|user| user.name == name).cloned()
        }
    }
}

/// Method and path for the log: user codes and keys are in queries and bodies, which stay out.
pub(crate) fn log(method: &http::Method, path: &str, status: StatusCode) {
    tracing::info!(
        method = redact::scrub(method.as_str()),
        path = redact::scrub(path),
        status = status.as_u16(),
    );
}
