//! CORS of the data plane: preflights, and the headers with which a browser shows an answer to a page of another origin.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderValue, StatusCode};

use crate::protocol::rules::{Rule, RuleSet};

/// The methods of Coze's API.
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";

/// The headers that a page may send, by name: `*` does not cover `authorization` (the Fetch standard). The last two are what
/// the released `@coze/api` adds in a browser.
const HEADERS: &str = "authorization, content-type, x-coze-client-user-agent, agw-js-conv";

/// What script can read beside the body; the SDKs put it into their errors.
const EXPOSED: &str = "x-tt-logid";

/// A page of another origin that may read the answers of the data plane.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    origin: HeaderValue,
    exposes: bool,
}

impl Page {
    /// The page of an allowed origin; none if CORS is switched off in its world.
    pub(crate) fn new(origin: &HeaderValue, rules: &RuleSet) -> Option<Self> {
        rules.is_on(Rule::CorsAnswered).then(|| Self {
            origin: origin.clone(),
            exposes: rules.is_on(Rule::CorsExposed),
        })
    }

    /// The answer to a preflight. A browser does not remember it, so that two runs of a test send the same requests.
    pub(crate) fn preflight(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (ACCESS_CONTROL_MAX_AGE, "0"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        self.open(&mut response);
        response
    }

    /// Lets the page read this answer.
    pub(crate) fn open(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        // A page in two languages varies already.
        headers.append(VARY, HeaderValue::from(ORIGIN));
        if self.exposes {
            let exposed = HeaderValue::from_static(EXPOSED);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}
