//! The HTTP vocabulary between a flow and its driver: the `http` crate's messages around a body
//! that does not print.

use std::fmt;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Uri};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::secret::Hidden;

/// A request to send as it is: method, absolute URL, headers, body.
pub type Request = http::Request<Body>;

/// The whole answer, whatever its status.
pub type Response = http::Response<Body>;

/// The bytes of a message. They hold secrets, so `Debug` tells their number only, and they are
/// zeroized on drop.
#[derive(Clone, Default)]
pub struct Body(Zeroizing<Vec<u8>>);

impl Body {
    /// How much of an answer a driver reads, in bytes; then it stops and hands over what it has. A
    /// flow refuses a body of this length as too long. Coze's answers stay under 4 KiB.
    pub const READ_AT_MOST: usize = 1024 * 1024;

    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

/// Who we say we are. Coze asks for no User-Agent (protocol §2.3), but its support does.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("coze-auth/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A `POST` of a JSON body, the form of every token request (protocol §2.3).
pub(crate) fn post(to: Uri, bearer: Option<HeaderValue>, body: &impl Serialize) -> Request {
    // Bodies are our own flat structs of strings and numbers; room for one keeps it in one allocation.
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body).expect("a struct of strings serialises");
    let mut request = message(Method::POST, to, bearer, Body::new(bytes));
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    request
}

/// A `GET` with a Bearer.
pub(crate) fn get(from: Uri, bearer: HeaderValue) -> Request {
    message(Method::GET, from, Some(bearer), Body::default())
}

fn message(method: Method, to: Uri, bearer: Option<HeaderValue>, body: Body) -> Request {
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = to;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, JSON);
    headers.insert(USER_AGENT, AGENT);
    // Public clients send none at all; two official SDKs send an empty Bearer (protocol §2.3).
    if let Some(bearer) = bearer {
        headers.insert(AUTHORIZATION, bearer);
    }
    request
}

/// `Bearer …` of a secret that was checked to fit a header; hidden from `Debug` and from HTTP/2 tables.
pub(crate) fn bearer(secret: &Hidden) -> HeaderValue {
    let text = Zeroizing::new(format!("Bearer {}", secret.expose()));
    let mut value = HeaderValue::from_str(&text).expect("checked when the secret was made");
    value.set_sensitive(true);
    value
}
