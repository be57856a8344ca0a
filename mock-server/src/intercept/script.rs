//! Scripts: a list of answers for the next requests, in order.

use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use super::fault::{Fault, sendable};
use super::registry::Item;
use super::selector::On;
use crate::protocol::rules::Rule;

/// A step of a script: the answer to one request.
///
/// ```
/// use coze_auth_mock::{CozeAuthMock, Fault, On, ScriptEnd, ScriptStep};
///
/// let mock = CozeAuthMock::builder().build()?;
/// # let get = |mock: &CozeAuthMock, token: &str| {
/// #     let request = http::Request::get("/v1/users/me").header("Authorization", format!("Bearer {token}"));
/// #     mock.call_blocking(request.body(bytes::Bytes::new()).unwrap()).status().as_u16()
/// # };
/// let steps = [ScriptStep::fault(Fault::status(502)), ScriptStep::fault(Fault::empty_200())];
/// let script = mock.script(On::endpoint("users_me"), steps, ScriptEnd::Pass);
/// assert_eq!(get(&mock, "pat_mock_alice"), 502);
/// assert_eq!(get(&mock, "pat_mock_bob"), 200); // the empty one
/// assert_eq!(get(&mock, "not-a-token"), 401); // the mock answers again
/// # drop(script);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScriptStep(pub(super) Meets);

#[derive(Clone, Debug)]
pub(super) enum Meets {
    Rules,
    Error(ErrorStep),
    Fault(Box<Fault>),
}

#[derive(Clone, Debug)]
pub(crate) struct ErrorStep {
    pub(crate) error: String,
    pub(crate) status: StatusCode,
    /// The message of the first rule with this code.
    pub(crate) message: String,
}

impl ScriptStep {
    /// Answers as without the script; a fault may still act on the request.
    #[must_use]
    pub const fn pass() -> Self {
        Self(Meets::Rules)
    }

    /// Answers with the error `code` in Coze's shape, without acting: a code such as `invalid_grant` as an OAuth error, one
    /// that consists of digits as a resource error. The status is that of the first rule in `rules.toml` with this code,
    /// else 400.
    #[must_use]
    pub fn error(code: &str) -> Self {
        Self(Meets::Error(ErrorStep::new(code)))
    }

    /// Answers like [`error`](Self::error), with another status.
    ///
    /// # Panics
    ///
    /// If the status is not within 200 and 599.
    #[must_use]
    pub fn error_with(status: u16, code: &str) -> Self {
        Self::try_error_with(status, code).unwrap_or_else(|problem| panic!("{problem}"))
    }

    pub(crate) fn try_error_with(status: u16, code: &str) -> Result<Self, String> {
        Ok(Self(Meets::Error(ErrorStep {
            status: sendable(status)?,
            ..ErrorStep::new(code)
        })))
    }

    /// Applies this fault, whatever its `times`, `skip` and `probability` are.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self(Meets::Fault(Box::new(fault)))
    }
}

impl ErrorStep {
    fn new(code: &str) -> Self {
        let mut rules = Rule::ALL.iter().map(|rule| rule.text());
        let rule = rules.find(|rule| rule.error == code);
        let status = rule.and_then(|rule| StatusCode::from_u16(rule.status).ok());
        let message = rule.map(|rule| &*rule.message);
        // A message with a placeholder would need the details of a violation.
        let message = message.filter(|message| !message.contains("{}"));
        Self {
            error: code.to_owned(),
            status: status.unwrap_or(StatusCode::BAD_REQUEST),
            message: message.unwrap_or(code).to_owned(),
        }
    }
}

/// What happens to requests after the last step of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptEnd {
    /// They are answered as without the script.
    #[default]
    Pass,
    /// The steps repeat from the first.
    Repeat,
    /// The last step repeats.
    Last,
}

#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) on: On,
    steps: Vec<ScriptStep>,
    after: ScriptEnd,
    matched: Mutex<u64>,
}

impl Item for Script {
    fn bytes(&self) -> usize {
        let steps = self.steps.iter().map(|ScriptStep(meets)| match meets {
            Meets::Rules => 0,
            Meets::Error(step) => step.error.len() + step.message.len(),
            Meets::Fault(fault) => fault.bytes(),
        });
        steps.sum::<usize>() + self.steps.capacity() * size_of::<ScriptStep>()
    }
}

impl Script {
    pub(super) fn new(on: On, steps: Vec<ScriptStep>, after: ScriptEnd) -> Self {
        Self {
            on,
            steps,
            after,
            matched: Mutex::default(),
        }
    }

    pub(crate) fn matched(&self) -> u64 {
        *self.matched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the step for the next request, or none after the end of the script.
    pub(super) fn next(&self) -> Option<ScriptStep> {
        let mut matched = self.matched.lock().unwrap_or_else(PoisonError::into_inner);
        let n = usize::try_from(*matched).unwrap_or(usize::MAX);
        *matched += 1;
        let length = self.steps.len();
        let step = match self.after {
            _ if n < length => self.steps.get(n),
            ScriptEnd::Repeat => n.checked_rem(length).and_then(|n| self.steps.get(n)),
            ScriptEnd::Last => self.steps.last(),
            ScriptEnd::Pass => None,
        };
        step.cloned()
    }
}
