//! Journal entries and explanations, as they are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::leak::Leak;

/// One request to the data plane. Codes, tokens, secrets, verifiers, assertions and states are masked; `presented` and
/// `issued` identify tokens by their fingerprints.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Number of the request, counted from 1; it starts again at a reset.
    pub seq: u64,
    /// Unix time by the mock's clock, in milliseconds.
    pub at_ms: u64,
    /// `authorize`, `token`, `device_code`, `users_me`, `workspaces`, `api` or `unknown`.
    pub endpoint: &'static str,
    /// The HTTP method.
    pub method: String,
    /// Path and query, redacted.
    pub path: String,
    /// Headers, redacted. Names are in lower case; values of repeated headers are joined by a comma.
    pub headers: BTreeMap<String, String>,
    /// The members of a JSON body, redacted.
    pub json: Option<Value>,
    /// The assertion of a JWT grant, decoded.
    pub jwt: Option<JournalJwt>,
    /// The client id (for the JWT grant: the issuer).
    pub client: Option<String>,
    /// The grant type: `authorization_code`, `refresh_token`, `device_code` or `jwt_bearer`.
    pub grant: Option<&'static str>,
    /// The [`fingerprint`](crate::fingerprint) of the presented access token, refresh token, authorization code or device
    /// code, whatever the outcome. None if it has fewer than 40 characters.
    pub presented: Option<String>,
    /// The fingerprints of the issued tokens.
    pub issued: Option<IssuedTokens>,
    /// The secrets that the request had where they do not belong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// The answer.
    pub outcome: Outcome,
    /// The kind of the fault that acted on the request, such as `reset` or `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// The id of the script that acted on the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The member that a fault of the kind `member` has changed, and how: `expires_in: milliseconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Time that the answer took, in microseconds of the machine's clock.
    pub elapsed_us: u64,
}

/// The fault and the script that acted on a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interference {
    pub(crate) fault: Option<&'static str>,
    pub(crate) script: Option<String>,
    pub(crate) change: Option<String>,
}

impl Interference {
    /// The script and the change, in little room, since few requests have one.
    pub(crate) fn details(self) -> Option<Box<Details>> {
        let Self { script, change, .. } = self;
        let some = script.is_some() || change.is_some();
        some.then(|| Box::new(Details { script, change }))
    }
}

/// The id of the script that acted on a request, and the change of a member.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) script: Option<String>,
    pub(crate) change: Option<String>,
}

/// A decoded assertion, without its signature.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JournalJwt {
    /// The JOSE header.
    pub header: Value,
    /// The claims.
    pub payload: Value,
}

/// How a request was answered.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The HTTP status that was sent; 0 if a fault sent none. A fault does not undo what the mock did: tokens may have been
    /// [`issued`](JournalEntry::issued) and not delivered.
    pub status: u16,
    /// The error code in the body of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The rule that refused the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The rules that would have refused the request if they were on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relaxed: Vec<&'static str>,
    /// The `X-Tt-Logid` of the answer.
    pub logid: String,
}

/// The explanation of an answer.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The `X-Tt-Logid` of the answer.
    pub logid: String,
    /// The name of the world; none for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// The rule that refused the request; none for a success.
    pub rule: Option<&'static str>,
    /// The text of the rule, or what succeeded.
    pub text: String,
    /// How sure we are that Coze has this rule: `documented`, `sdk`, `report` or `guess`.
    pub evidence: Option<&'static str>,
    /// The source of that evidence.
    pub reference: Option<&'static str>,
    /// What the rule requires.
    pub expected: Option<String>,
    /// What the request had instead, without any secret.
    pub actual: Option<String>,
    /// How to fix the client. To a library for OAuth 2 that its `User-Agent` gives away it names the setting.
    pub fix: Option<String>,
    /// The rules that would have refused the request if they were on.
    pub relaxed: Vec<&'static str>,
}

/// The [`fingerprint`](crate::fingerprint)s of the tokens of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IssuedTokens {
    /// Fingerprint of the access token.
    pub access: String,
    /// Fingerprint of the refresh token; the JWT grant does not issue one.
    pub refresh: Option<String>,
}
