//! The pages for people: consent and device activation. Plain HTML, no script.

use std::collections::HashMap;

use askama::Template;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use url::form_urlencoded;

use crate::answer::{self, Reply};
use crate::call::Refusal;
use crate::device::{self, DeviceAction, NotWaiting};
use crate::store::digest;
use crate::world::{Authorization, World};
use crate::{authorize, redact};

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    app: &'a str,
    kind: &'a str,
    client_id: &'a str,
    challenge: Option<&'a str>,
    workspace: &'a str,
    redirect_uri: &'a str,
    user: &'a str,
    authorize_key: &'a str,
}

#[derive(Template)]
#[template(path = "device_entry.html")]
struct DeviceEntry<'a> {
    user_code: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "device_confirm.html")]
struct DeviceConfirm<'a> {
    app: &'a str,
    client_id: &'a str,
    workspace: &'a str,
    user: &'a str,
    user_code: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
    failed: bool,
    details: &'a [(&'a str, &'a str)],
}

/// No script, no frame, nothing from elsewhere. `form-action` is left out: browsers apply it to
/// the redirect back to the app too.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (
        http::header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    ),
    (http::header::REFERRER_POLICY, "no-referrer"),
    (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

fn page(status: StatusCode, template: &impl Template) -> Reply {
    let html = template.render().expect("our templates render");
    let mut reply = Response::new(Bytes::from(html));
    *reply.status_mut() = status;
    for (name, value) in HEADERS {
        reply
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    reply
}

fn message(status: StatusCode, title: &str, text: &str) -> Reply {
    let failed = status != StatusCode::OK;
    page(
        status,
        &Message {
            title,
            text,
            failed,
            details: &[],
        },
    )
}

fn undecided() -> Reply {
    let status = StatusCode::BAD_REQUEST;
    message(status, "Nothing was decided", "Approve or deny?")
}

/// A refused authorize request is shown and never redirected (protocol §2.2: the page says so).
pub(crate) fn refused(status: StatusCode, error: &str, refusal: &Refusal, logid: &str) -> Reply {
    let row = refusal.rule.text();
    let text = refusal.message();
    let page_of = Message {
        title: "OAuth error",
        text: "The app sent you here with a request that cannot be granted.",
        failed: true,
        details: &[
            ("Error", error),
            ("Message", &text),
            ("Rule", refusal.rule.id()),
            ("Meaning", &row.text),
            ("Expected", &refusal.expected),
            ("Came", &refusal.came),
            ("Fix", &row.fix),
            ("Logid", logid),
        ],
    };
    page(status, &page_of)
}

/// The error of a script, where a person looks at it.
pub(crate) fn scripted(status: StatusCode, error: &str, message: &str, logid: &str) -> Reply {
    let page_of = Message {
        title: "OAuth error",
        text: "A script of this mock answers so; no rule has looked at the request.",
        failed: true,
        details: &[("Error", error), ("Message", message), ("Logid", logid)],
    };
    page(status, &page_of)
}

/// First value of each name; what a browser sends for our forms has no other.
fn fields(form: &[u8]) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    for (name, value) in form_urlencoded::parse(form) {
        fields
            .entry(name.into_owned())
            .or_insert_with(|| value.into_owned());
    }
    fields
}

fn field<'a>(fields: &'a HashMap<String, String>, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

/// The authorize request behind `key`, or the page that says why there is none.
fn pending(world: &World, key: &str) -> Result<Authorization, Box<Reply>> {
    let problem = |text| {
        message(
            StatusCode::BAD_REQUEST,
            "This page is no longer valid",
            text,
        )
    };
    let now = world.settings.clock.unix_ms();
    match world.authorizations.get(&digest(key)) {
        None => Err(Box::new(problem(
            "Nobody is waiting behind this link. Go back to the app and start again.",
        ))),
        Some(found) if found.decided => Err(Box::new(problem(
            "This request has been decided already. Go back to the app and start again.",
        ))),
        Some(found) if now >= found.expires_ms => Err(Box::new(problem(
            "This request has waited too long. Go back to the app and start again.",
        ))),
        Some(found) => Ok(found.clone()),
    }
}

pub(crate) fn consent(world: &World, query: &str) -> Reply {
    let fields = fields(query.as_bytes());
    let key = field(&fields, "authorize_key");
    let authorization = match pending(world, key) {
        Ok(authorization) => authorization,
        Err(problem) => return *problem,
    };
    let app = world.app(authorization.app);
    let consent_page = ConsentPage {
        app: &app.name,
        kind: app.kind.name(),
        client_id: &app.client_id,
        challenge: authorization
            .challenge
            .as_ref()
            .map(|challenge| if challenge.s256 { "S256" } else { "plain" }),
        workspace: authorization.workspace.as_deref().unwrap_or(ALL_WORKSPACES),
        redirect_uri: &authorization.redirect_uri,
        user: &world.user.nick,
        authorize_key: key,
    };
    page(StatusCode::OK, &consent_page)
}

const ALL_WORKSPACES: &str = "all of the user's";

pub(crate) fn decide_consent(world: &mut World, form: &[u8]) -> Reply {
    let fields = fields(form);
    let key = field(&fields, "authorize_key");
    let authorization = match pending(world, key) {
        Ok(authorization) => authorization,
        Err(problem) => return *problem,
    };
    let now = world.settings.clock.unix_ms();
    let location = match field(&fields, "action") {
        "approve" => {
            let user = world.user.clone();
            authorize::approve(world, &authorization, user, now)
        }
        "deny" => authorize::deny(&authorization),
        _ => return undecided(),
    };
    if let Some(found) = world.authorizations.get_mut(&digest(key)) {
        found.decided = true;
    }
    answer::redirect(&location)
}

pub(crate) fn device(world: &World, query: &str) -> Reply {
    let fields = fields(query.as_bytes());
    let user_code = field(&fields, "user_code").trim();
    let now = world.settings.clock.unix_ms();
    if user_code.is_empty() {
        let entry = DeviceEntry {
            user_code,
            problem: None,
        };
        return page(StatusCode::OK, &entry);
    }
    match device::waiting(world, user_code, now) {
        Err(problem) => not_waiting(user_code, problem),
        Ok(device) => {
            let app = world.app(device.app);
            let confirm = DeviceConfirm {
                app: &app.name,
                client_id: &app.client_id,
                workspace: device.workspace.as_deref().unwrap_or(ALL_WORKSPACES),
                user: &world.user.nick,
                user_code: &device.user_code,
            };
            page(StatusCode::OK, &confirm)
        }
    }
}

fn not_waiting(user_code: &str, problem: NotWaiting) -> Reply {
    let status = match problem {
        NotWaiting::Unknown => StatusCode::NOT_FOUND,
        NotWaiting::Expired | NotWaiting::Decided => StatusCode::GONE,
    };
    let entry = DeviceEntry {
        user_code,
        problem: Some(problem.text()),
    };
    page(status, &entry)
}

pub(crate) fn decide_device(world: &mut World, form: &[u8]) -> Reply {
    let fields = fields(form);
    let user_code = field(&fields, "user_code");
    let Some(action @ (DeviceAction::Approve | DeviceAction::Deny)) =
        DeviceAction::named(field(&fields, "action"))
    else {
        return undecided();
    };
    let now = world.settings.clock.unix_ms();
    match device::decide(world, user_code, action, now) {
        Err(problem) => not_waiting(user_code, problem),
        Ok(()) if action == DeviceAction::Approve => {
            let text = "Your device goes on by itself in a moment. You can close this page.";
            message(StatusCode::OK, "Device connected", text)
        }
        Ok(()) => {
            let text = "The device got no access. You can close this page.";
            message(StatusCode::OK, "Device denied", text)
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
