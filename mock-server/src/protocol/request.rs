//! A request to the data plane, and its credential.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use super::api::Called;
use super::endpoint::Endpoint;
use super::refusal::Refusal;
use super::rules::Rule;

#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// The base URL under which the client sees this server.
    pub(crate) base: String,
    /// The API call of the user's own at this path, if there is one.
    pub(crate) call: Option<Called>,
}

#[derive(Debug)]
pub(crate) enum Body {
    Whole(Bytes),
    TooLong,
    Broken,
    /// The mock stopped waiting for it, for this reason.
    Late(String),
}

/// The credential of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    Bearer(&'a str),
    /// No header, or `Bearer` without a credential, which coze-js and coze-go send for public clients (protocol §2.3).
    None,
    /// Another scheme, or bytes that are not a text.
    Other,
}

impl Credential<'_> {
    /// Describes it for [`Refusal::actual`], where a Bearer credential was expected.
    pub(crate) fn describe(&self, header: bool) -> &'static str {
        match self {
            Self::Bearer(_) => "a Bearer credential",
            Self::None if header => "an empty Bearer credential",
            Self::None => "no Authorization header",
            Self::Other => "an Authorization header that is not a Bearer credential",
        }
    }
}

impl Incoming {
    /// The endpoint of the path. A call of the user's own goes before an endpoint of the API that the mock has.
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        let found = Endpoint::of(&self.path);
        match (&self.call, found) {
            (None, found) => found,
            (Some(Called::OtherMethods(_)), Endpoint::UsersMe | Endpoint::Workspaces) => found,
            (Some(_), _) => Endpoint::Api,
        }
    }

    /// The methods that the endpoint answers, joined by commas.
    pub(crate) fn methods(&self) -> &str {
        match (&self.call, self.endpoint()) {
            (Some(Called::OtherMethods(methods)), Endpoint::Api) => methods,
            (_, endpoint) => endpoint.method(),
        }
    }

    /// Host and port under which the client sees this server.
    pub(crate) fn host(&self) -> &str {
        let rest = self.base.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    pub(crate) fn has_authorization(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }

    pub(crate) fn credential(&self) -> Result<Credential<'_>, Refusal> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(Credential::None);
        };
        if values.next().is_some() {
            return Err(Refusal::parameter(
                Rule::ParamOnce,
                "Authorization",
                "twice",
            ));
        }
        let Ok(value) = value.to_str() else {
            return Ok(Credential::Other);
        };
        let (scheme, credential) = value
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| (value.trim(), ""));
        Ok(
            match (scheme.eq_ignore_ascii_case("bearer"), credential.trim()) {
                (true, "") => Credential::None,
                (true, credential) => Credential::Bearer(credential),
                (false, _) if scheme.is_empty() => Credential::None,
                (false, _) => Credential::Other,
            },
        )
    }
}
