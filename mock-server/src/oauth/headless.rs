//! Decisions about authorize URLs without a browser, for the control plane and the library.

use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;

use super::context::Decider;
use super::dispatch;
use crate::journal::entry::Explanation;
use crate::protocol::request::{Body, Incoming};
use crate::protocol::rules::Rule;
use crate::state::State;

/// The refusal of an authorize request.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct AuthorizeError {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The error code of the answer.
    pub error: String,
    /// The rule that refused the request, and the reason.
    #[serde(flatten)]
    pub explanation: Box<Explanation>,
}

impl std::fmt::Display for AuthorizeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rule = self.explanation.rule.unwrap_or("none");
        let expected = self
            .explanation
            .expected
            .as_deref()
            .unwrap_or("something else");
        let actual = self.explanation.actual.as_deref().unwrap_or("nothing");
        write!(
            f,
            "the mock refused by rule {rule}: expected {expected}; actual {actual}"
        )
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl std::fmt::Debug for AuthorizeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for AuthorizeError {}

/// The advice about an authorize URL whose path is not the mock's. A gateway or a bridge before the mock has one of its own.
const NOT_OURS: &str = "Give the authorize URL of the mock itself, character for character. A server before the mock, such as a bridge, has another one, which redirects the browser to that of the mock.";

/// Decides, and returns the redirect that the browser would follow.
pub(crate) fn authorize(
    state: &mut State,
    base: &str,
    path: &str,
    query: Option<&str>,
    decider: Decider,
) -> Result<String, AuthorizeError> {
    let request = Incoming {
        method: Method::GET,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: HeaderMap::new(),
        body: Body::Whole(bytes::Bytes::new()),
        base: base.to_owned(),
        call: None,
    };
    let reply = dispatch::serve(state, &request, Some(decider));
    let location = reply
        .headers()
        .get(LOCATION)
        .and_then(|at| at.to_str().ok());
    match location {
        Some(location) if reply.status() == StatusCode::FOUND => Ok(location.to_owned()),
        _ => {
            let newest = state.journal.iter().next_back();
            let newest = newest.expect("the request was just recorded");
            let mut explanation = newest.explain();
            if explanation.rule == Some(Rule::PathKnown.id()) {
                explanation.fix = Some(NOT_OURS.to_owned());
            }
            Err(AuthorizeError {
                status: newest.outcome.status,
                error: newest.outcome.error.clone().unwrap_or_default(),
                explanation: Box::new(explanation),
            })
        }
    }
}
