//! The HTTP vocabulary between a flow and its driver: the `http` crate's messages around a body
//! that does not print.

use std::fmt;
use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Uri};
use serde::Serialize;
use url::form_urlencoded;
use zeroize::Zeroize as _;

use crate::error::{Error, GrantType, TransportFailure};
use crate::secret::Hidden;

/// A request to send as it is: method, absolute URL, headers, body.
pub type Request = http::Request<Body>;

/// The whole answer, whatever its status.
pub type Response = http::Response<Body>;

/// JSON without a secret.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a struct of strings and numbers serialises")
}

/// The bytes of a message. They hold secrets, so `Debug` tells their number only, and they are
/// zeroized when the last clone is dropped.
///
/// ```
/// use coze_auth_core::Body;
///
/// let body = Body::from(b"of your HTTP client".to_vec());
/// assert_eq!(body.as_bytes(), b"of your HTTP client");
/// assert!(!format!("{body:?}").contains("client")); // it may hold secrets
/// ```
#[derive(Clone, Default)]
pub struct Body(Arc<Bytes>);

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Drop for Bytes {
    fn drop(&mut self) {
        // What was never written needs no wiping, so the spare capacity is left alone.
        self.0.as_mut_slice().zeroize();
    }
}

impl Body {
    /// How much of an answer a driver reads, in bytes; then it stops and hands over what it has. A
    /// flow refuses a body of this length as too long, and one that is unpacked to it. Coze's answers stay under 4 KiB.
    pub const READ_AT_MOST: usize = 1024 * 1024;

    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Bytes(bytes)))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.0
    }

    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns true if there are zero bytes.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
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
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
/// Without it any coding of the body would do (RFC 9110 §12.5.3), and HTTP clients add those that they know.
const AS_IT_IS: HeaderValue = HeaderValue::from_static("identity");

/// Room for a form or query of these: with three characters for a byte, no half-written copy is left behind.
pub(crate) fn form_room(members: &[(&str, &str)]) -> usize {
    let room = members
        .iter()
        .map(|(name, value)| 3 * value.len() + name.len() + 2);
    room.sum()
}

/// A request of ours, before it is dressed as an HTTP message.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    method: Method,
    uri: Uri,
    /// Public clients send none at all; two official SDKs send an empty Bearer (protocol §2.3).
    pub(crate) bearer: Option<HeaderValue>,
    pub(crate) body: Body,
    /// What it trades for a token, if it asks for one.
    pub(crate) grant: Option<GrantType>,
    /// It asks for the credential of an integration.
    pub(crate) is_of_integration: bool,
    /// Beside those that every request has, or in their place.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Secrets that the server has, and may quote.
    pub(crate) known: Vec<Hidden>,
}

impl Outgoing {
    /// A `POST` of a JSON body, the form of every token request (protocol §2.3).
    pub(crate) fn post(uri: Uri, bearer: Option<HeaderValue>, body: &impl Serialize) -> Self {
        // Our bodies are flat and small: with room for one, no half-written copy is left behind.
        let mut bytes = Vec::with_capacity(1024);
        serde_json::to_writer(&mut bytes, body).expect("a struct of strings serialises");
        Self::new(Method::POST, uri, bearer, Body::new(bytes))
    }

    /// A `POST` of a form, as the token endpoint of workloads alone has it (protocol §15.2).
    pub(crate) fn form(uri: Uri, members: &[(&str, &str)]) -> Self {
        let room = String::with_capacity(form_room(members));
        let mut form = form_urlencoded::Serializer::new(room);
        form.extend_pairs(members);
        let body = Body::new(form.finish().into_bytes());
        Self::new(Method::POST, uri, None, body).with(CONTENT_TYPE, FORM)
    }

    fn new(method: Method, uri: Uri, bearer: Option<HeaderValue>, body: Body) -> Self {
        Self {
            method,
            uri,
            bearer,
            body,
            grant: None,
            is_of_integration: false,
            headers: Vec::new(),
            known: Vec::new(),
        }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// These secrets are not quoted, if the server does.
    pub(crate) fn knowing(mut self, secrets: impl IntoIterator<Item = Hidden>) -> Self {
        self.known.extend(secrets);
        self
    }

    /// Trades this for a token.
    pub(crate) fn trading(self, grant: GrantType) -> Self {
        Self {
            grant: Some(grant),
            ..self
        }
    }

    /// A `GET` with a Bearer.
    pub(crate) fn get(uri: Uri, bearer: HeaderValue) -> Self {
        Self::new(Method::GET, uri, Some(bearer), Body::default())
    }

    /// Where it goes: scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    }

    /// The transport failed at this request.
    pub(crate) fn failed(&self, failure: TransportFailure) -> Error {
        Error::Transport {
            failure,
            grant: self.grant,
            to: self.origin(),
        }
    }

    /// The message to send.
    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(5 + self.headers.len());
        headers.insert(ACCEPT, JSON);
        headers.insert(ACCEPT_ENCODING, AS_IT_IS);
        headers.insert(USER_AGENT, AGENT);
        if self.method == Method::POST {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        request
    }
}
