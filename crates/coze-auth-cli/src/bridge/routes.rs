//! What each path is for, and how an answer looks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue,
    PRAGMA, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::form::Form;
use super::log::Line;
use super::refusal::Refusal;
use super::upstream::{LOG_ID, Upstream};
use super::{Shared, authorize, guard, metadata, token, userinfo};

pub(super) type Reply = Response<Full<Bytes>>;

/// In bytes. A form of the longest code, verifier and redirect URI is a few kilobytes.
const LONGEST_BODY: usize = 64 * 1024;
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What a path is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Authorize,
    Token,
    DeviceAuthorization,
    Userinfo,
    Metadata,
    Health,
    /// OpenID Connect's metadata, which the bridge does not have.
    OpenId,
    Unknown,
}

impl Place {
    fn of(path: &str) -> Self {
        let known = [
            Self::Authorize,
            Self::Token,
            Self::DeviceAuthorization,
            Self::Userinfo,
            Self::Metadata,
            Self::Health,
            Self::OpenId,
        ];
        let found = known.into_iter().find(|place| place.name() == path);
        found.unwrap_or(Self::Unknown)
    }

    /// Its path.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Authorize => "/authorize",
            Self::Token => "/token",
            Self::DeviceAuthorization => "/device_authorization",
            Self::Userinfo => "/userinfo",
            Self::Metadata => "/.well-known/oauth-authorization-server",
            Self::Health => "/health",
            Self::OpenId => "/.well-known/openid-configuration",
            // What a client has sent may be a secret.
            Self::Unknown => "(unknown path)",
        }
    }

    const fn methods(self) -> &'static str {
        match self {
            Self::Token | Self::DeviceAuthorization => "POST",
            Self::Metadata | Self::Health | Self::OpenId => "GET, HEAD",
            _ => "GET",
        }
    }

    const fn asks_coze(self) -> bool {
        matches!(
            self,
            Self::Token | Self::DeviceAuthorization | Self::Userinfo
        )
    }

    fn takes(self, method: &Method) -> bool {
        self == Self::Unknown
            || self
                .methods()
                .split(", ")
                .any(|taken| taken == method.as_str())
    }
}

/// Answers a request.
pub(super) async fn answer(
    shared: &Shared,
    requests: &Semaphore,
    request: Request<Incoming>,
) -> Reply {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let place = Place::of(parts.uri.path());
    let upstream = Upstream::new(&shared.client);
    let at_once = requests.try_acquire().ok().filter(|_| place.asks_coze());
    let mut what = "";
    let entry = guard::enter(&shared.names, &parts, place);
    let (answered, origin) = match entry {
        Err(refusal) => (Err(refusal), None),
        Ok(guard::Entry {
            origin: Some(origin),
            ..
        }) if parts.method == Method::OPTIONS => (Ok(preflight(place)), Some(origin)),
        Ok(entry) if place.asks_coze() && at_once.is_none() => (Err(Refusal::busy()), entry.origin),
        Ok(entry) => {
            let host = entry.host.as_deref();
            (
                at(shared, &upstream, &parts, body, place, host, &mut what).await,
                entry.origin,
            )
        }
    };
    let mut reply = match &answered {
        Ok(reply) => reply.clone(),
        // A person looks at it, in a tab.
        Err(refusal) if place == Place::Authorize => {
            let mut reply = text(
                refusal.status(),
                &format!("{}: {}\n", refusal.error(), refusal.description()),
            );
            refusal.dress(&mut reply);
            reply
        }
        Err(refusal) => refusal.reply(),
    };
    if reply.status() == StatusCode::METHOD_NOT_ALLOWED {
        reply
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(place.methods()));
    }
    let headers = reply.headers_mut();
    if let Some(log_id) = upstream.log_id().filter(|_| answered.is_ok()) {
        headers.insert(LOG_ID, log_id);
    }
    // RFC 6749 §5.1; a redirect has the state in it, and the metadata changes with the settings.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("x-tt-logid, www-authenticate, retry-after"),
        );
        headers.insert(VARY, HeaderValue::from_static("Origin"));
    }
    shared.log.tell(&Line {
        method: method_name(&parts.method),
        place: place.name(),
        what,
        status: reply.status().as_u16(),
        refusal: answered.as_ref().err(),
        took: begun.elapsed(),
    });
    reply
}

async fn at(
    shared: &Shared,
    upstream: &Upstream<'_>,
    parts: &Parts,
    body: Incoming,
    place: Place,
    host: Option<&str>,
    what: &mut &'static str,
) -> Result<Reply, Refusal> {
    if !place.takes(&parts.method) {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request",
            format!("{} takes {}", place.name(), place.methods()),
        ));
    }
    let query = parts.uri.query();
    match place {
        Place::Authorize => authorize::redirect(shared, query.unwrap_or_default()),
        Place::Token => {
            let form = Form::of_post(&parts.headers, query, &read(body).await?)?;
            *what = token::shown(&form);
            token::reply(shared, upstream, &parts.headers, &form).await
        }
        Place::DeviceAuthorization => {
            let form = Form::of_post(&parts.headers, query, &read(body).await?)?;
            token::device_authorization(shared, upstream, &parts.headers, &form).await
        }
        Place::Userinfo => userinfo::reply(shared, upstream, &parts.headers).await,
        Place::Metadata => Ok(metadata::reply(
            &shared.names.issuer(host),
            shared.machines.is_some(),
        )),
        Place::Health => Ok(text(StatusCode::OK, "ok\n")),
        Place::OpenId => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "invalid_request",
            "this is not OpenID Connect, and gives no id_token: choose OAuth 2, whose metadata is at \
             /.well-known/oauth-authorization-server",
        )),
        Place::Unknown => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "invalid_request",
            "nothing is here: the paths are /.well-known/oauth-authorization-server, /authorize, /token, /device_authorization, \
             /userinfo and /health",
        )),
    }
}

/// The whole body of a request.
async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_TIME, Limited::new(body, LONGEST_BODY).collect()).await;
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            format!("the body has more than {LONGEST_BODY} bytes"),
        )),
        Ok(Err(_)) => Err(Refusal::invalid("the body did not arrive whole")),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request",
            format!("the body did not arrive within {} s", BODY_TIME.as_secs()),
        )),
    }
}

/// An answer to a browser that asks whether a page may call (the Fetch standard).
fn preflight(place: Place) -> Reply {
    let mut reply = empty(StatusCode::NO_CONTENT);
    let headers = reply.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(place.methods()),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type"),
    );
    reply
}

/// One of those that clients send; what else stands there is theirs.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("(other method)")
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).unwrap_or_default();
    typed(status, body, HeaderValue::from_static("application/json"))
}

pub(super) fn text(status: StatusCode, text: &str) -> Reply {
    let mut reply = typed(
        status,
        text.into(),
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    let name = HeaderName::from_static("content-security-policy");
    reply.headers_mut().insert(
        name,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    reply
}

fn typed(status: StatusCode, body: Vec<u8>, kind: HeaderValue) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}
