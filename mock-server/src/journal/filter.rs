//! A filter over the requests of a journal.

use std::borrow::Cow;
use std::fmt;

use super::record::Record;
use crate::intercept::fault_kind::KINDS;
use crate::intercept::selector::On;
use crate::protocol::endpoint::ENDPOINTS;
use crate::protocol::grant;
use crate::protocol::rules::Rule;
use crate::redact::{self, places};

/// A filter over journal entries. It is made from an [`On`] or by [`any`](Self::any), and each method adds a condition.
///
/// ```
/// use coze_auth_mock::{RequestFilter, On};
///
/// let spent = RequestFilter::from(On::grant("refresh_token")).rule("refresh.rotate");
/// assert_eq!(spent.to_string(), "endpoint token, grant refresh_token, rule refresh.rotate");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    endpoint: Option<&'static str>,
    grant: Option<&'static str>,
    client: Option<String>,
    path: Option<String>,
    status: Option<u16>,
    error: Option<String>,
    rule: Option<&'static str>,
    fault: Option<&'static str>,
}

impl From<On> for RequestFilter {
    fn from(on: On) -> Self {
        let filter = Self {
            endpoint: Some(on.endpoint),
            grant: on.grant,
            ..Self::default()
        };
        let filter = match on.client {
            Some(client) => filter.client_id(&client),
            None => filter,
        };
        match on.path {
            Some(path) => filter.path(&path),
            None => filter,
        }
    }
}

impl RequestFilter {
    /// Matches every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Matches requests of this client id (for the JWT grant: of this issuer).
    #[must_use]
    pub fn client_id(mut self, client_id: &str) -> Self {
        // Scrubbed as in the journal, which keeps no secret that was sent as a client id.
        self.client = Some(redact::scrub(client_id));
        self
    }

    /// Matches requests of this path, without their query.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Matches requests that were answered with this HTTP status; 0 if nothing was sent.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Matches requests that were answered with this error code.
    #[must_use]
    pub fn error(mut self, error: &str) -> Self {
        self.error = Some(redact::scrub(error));
        self
    }

    /// Matches requests that this rule of `rules.toml` refused.
    ///
    /// # Panics
    ///
    /// If the rule is unknown.
    #[must_use]
    pub fn rule(mut self, id: &str) -> Self {
        self.rule = Some(rule(id).unwrap_or_else(|problem| panic!("{problem}")));
        self
    }

    /// Matches requests on which a fault of this kind acted.
    ///
    /// # Panics
    ///
    /// If the kind is unknown.
    #[must_use]
    pub fn fault(mut self, kind: &str) -> Self {
        self.fault = Some(fault(kind).unwrap_or_else(|problem| panic!("{problem}")));
        self
    }

    /// Sets the member of a control request. Returns false if the name is unknown. The error lists the known values, and does
    /// not quote the others.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "endpoint" => {
                self.endpoint = Some(one_of("endpoint", &ENDPOINTS, value)?);
            }
            "grant" => {
                let known = grant::names();
                self.grant = Some(one_of("grant", &known, value)?);
            }
            "client_id" => *self = std::mem::take(self).client_id(value),
            "path" => *self = std::mem::take(self).path(value),
            "status" => {
                let status = value.parse().ok().filter(|status| *status < 600);
                self.status = Some(status.ok_or("status is 0, for none, to 599")?);
            }
            "error" => *self = std::mem::take(self).error(value),
            "rule" => self.rule = Some(rule(value)?),
            "fault" => self.fault = Some(fault(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The members of `entry` that do not match: name, expected value, actual value.
    pub(crate) fn differences(&self, entry: &Record) -> Vec<(&'static str, String, String)> {
        let outcome = &entry.outcome;
        let status = self.status.map(|status| status.to_string());
        let actual = outcome.status.to_string();
        // As the journal has it, which masks ids that look like secrets.
        let path = self.path.as_deref().map(|path| match entry.path() == path {
            true => Cow::Borrowed(path),
            false => places::path(path, None),
        });
        let members = [
            ("endpoint", self.endpoint, Some(entry.endpoint)),
            ("grant", self.grant, entry.grant),
            ("client_id", self.client.as_deref(), entry.client.as_deref()),
            ("path", path.as_deref(), Some(entry.path())),
            ("status", status.as_deref(), Some(&*actual)),
            ("error", self.error.as_deref(), outcome.error.as_deref()),
            ("rule", self.rule, outcome.rule),
            ("fault", self.fault, entry.fault),
        ];
        let otherwise = members.into_iter().filter_map(|(name, expected, actual)| {
            let expected = expected.filter(|expected| Some(*expected) != actual)?;
            Some((
                name,
                expected.to_owned(),
                actual.unwrap_or("none").to_owned(),
            ))
        });
        otherwise.collect()
    }

    pub(crate) fn matches(&self, entry: &Record) -> bool {
        self.differences(entry).is_empty()
    }
}

fn one_of(name: &str, known: &[&'static str], value: &str) -> Result<&'static str, String> {
    let found = known.iter().find(|known| **known == value).copied();
    found.ok_or_else(|| format!("{name} is one of {}", known.join(", ")))
}

fn fault(kind: &str) -> Result<&'static str, String> {
    one_of("fault", &KINDS.map(|kind| kind.name), kind)
}

fn rule(id: &str) -> Result<&'static str, String> {
    let found = Rule::ALL.iter().find(|rule| rule.id() == id);
    let found = found.map(|rule| rule.id());
    found.ok_or_else(|| "rule is one that GET /_mock/v1/fidelity lists".to_owned())
}

impl fmt::Display for RequestFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.map(|status| status.to_string());
        let path = self.path.as_deref().map(redact::scrub);
        let members = [
            ("endpoint", self.endpoint),
            ("grant", self.grant),
            ("client_id", self.client.as_deref()),
            ("path", path.as_deref()),
            ("status", status.as_deref()),
            ("error", self.error.as_deref()),
            ("rule", self.rule),
            ("fault", self.fault),
        ];
        let members = members
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name} {value}")))
            .collect::<Vec<_>>();
        match members.is_empty() {
            true => f.write_str("any request"),
            false => f.write_str(&members.join(", ")),
        }
    }
}
