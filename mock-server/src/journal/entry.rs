//! What the journal shows of a request.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::leak::Leak;

/// One request to the data plane. Codes, tokens, secrets, verifiers, assertions and states are
/// masked; `presented` and `issued` tell which tokens they were to who has them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Counts from 1; starts again at a reset.
    pub seq: u64,
    /// Unix time by the mock's clock, in milliseconds.
    pub at_ms: u64,
    /// `authorize`, `token`, `device_code`, `users_me` or `unknown`.
    pub endpoint: &'static str,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case; values of repeated headers joined by a comma.
    pub headers: BTreeMap<String, String>,
    /// The members of the JSON body, if it was one.
    pub json: Option<Value>,
    /// The assertion of a JWT grant, decoded.
    pub jwt: Option<JournalJwt>,
    /// The client id (for JWT the issuer).
    pub client: Option<String>,
    /// `authorization_code`, `refresh_token`, `device_code` or `jwt_bearer`.
    pub grant: Option<&'static str>,
    /// The [`fingerprint`](crate::fingerprint) of the access token, refresh token, authorization
    /// code or device code that came, if it has at least 40 characters, whatever the outcome.
    pub presented: Option<String>,
    /// The fingerprints of the tokens that were given.
    pub issued: Option<IssuedTokens>,
    /// Secrets that it had where they do not belong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// What was answered.
    pub outcome: Outcome,
    /// The fault that acted on it, if one did: `reset`, `delay` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// The id of the script that answered it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Time spent on the answer, in microseconds of the machine's clock.
    pub elapsed_us: u64,
}

/// Who but the rules had a say in an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interference {
    pub(crate) fault: Option<&'static str>,
    pub(crate) script: Option<String>,
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
    /// The HTTP status that was sent; 0 if a fault sent none. What the mock did is not undone: if
    /// tokens were [`issued`](JournalEntry::issued), nobody but the journal has heard of them.
    pub status: u16,
    /// The error code in the body of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The rule that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The rules that would have refused, had they not been turned off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relaxed: Vec<&'static str>,
    /// The `X-Tt-Logid` of the answer.
    pub logid: String,
}

/// Why a request was answered as it was.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The `X-Tt-Logid` that was asked for.
    pub logid: String,
    /// The rule that refused; none for a success.
    pub rule: Option<&'static str>,
    /// The rule in words, or what succeeded.
    pub text: String,
    /// How sure we are that Coze has this rule: `documented`, `sdk`, `report` or `guess`.
    pub evidence: Option<&'static str>,
    /// Where that is written.
    pub reference: Option<&'static str>,
    /// What the rule asks for.
    pub expected: Option<String>,
    /// What came instead, without any secret.
    pub actual: Option<String>,
    /// What to do about it.
    pub fix: Option<&'static str>,
    /// The rules that would have refused, had they not been turned off.
    pub relaxed: Vec<&'static str>,
}

/// The [`fingerprint`](crate::fingerprint)s of the tokens that an answer gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IssuedTokens {
    /// The access token's.
    pub access: String,
    /// The refresh token's; the JWT grant gives none.
    pub refresh: Option<String>,
}
