//! A client under test, whatever it is made of: operations in, their results out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_mock::CozeAuthMock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::SharedClock;

/// A client under test. The operations, their arguments and results are those of `coze-auth-shim/1`.
pub trait Client: Send {
    /// What it is and can do.
    fn about(&self) -> &About;

    /// Starts a case: everything of the case before is gone.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the client itself does not work.
    fn begin(&mut self, case: &Opening) -> Result<(), Broken>;

    /// Does one operation.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin). What the library refuses is an [`Answer`].
    fn call(&mut self, op: &str, args: &Map<String, Value>) -> Result<Answer, Broken>;

    /// It tells what it got. One that does not is judged by what the server saw, and by nothing else.
    fn tells(&self) -> bool {
        true
    }
}

/// What a client is and can do.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[non_exhaustive]
pub struct About {
    /// Of the library.
    pub name: String,
    /// Of the library.
    pub version: String,
    /// In which it is written.
    pub language: String,
    /// On which it runs.
    pub runtime: String,
    /// Where its users find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Where its users report defects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issues: Option<String>,
    /// Its capabilities.
    pub caps: Vec<String>,
}

impl About {
    /// Whether it has this capability.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.caps.iter().any(|known| known == capability)
    }
}

/// What a client is told of a case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opening {
    /// The case.
    pub id: String,
    /// The API base; also the www base unless `client.new` names one.
    pub base_url: String,
    /// The clock of client and server.
    pub clock: SharedClock,
    /// The server; none if it is the real service.
    pub mock: Option<Arc<CozeAuthMock>>,
    /// The CA of the server in PEM, if it is https and has one of its own. For the capability `https`.
    pub ca_pem: Option<Arc<str>>,
    /// It is to log all that it can.
    pub log: bool,
    /// A client that is a process gets a new one, since what happened in the old one would be seen.
    pub fresh: bool,
    /// Real time that an operation may take.
    pub patience: Duration,
}

/// The result of an operation.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs)] // who writes a client builds it
pub struct Answer {
    /// What the library gave.
    pub result: Outcome,
    /// What the library logged or printed meanwhile.
    pub logs: Vec<String>,
}

/// What the library gave.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)] // the three answers of the protocol
pub enum Outcome {
    /// It did it.
    Ok(Value),
    /// It refused or failed.
    Err(Failure),
    /// It does not have this feature.
    Unsupported(String),
}

/// What a caller can tell from what the library threw.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// `oauth`, `api`, `transport`, `timeout`, `parse`, `config`, `cancelled`, `abandoned`, `protocol` or `other`.
    pub kind: String,
    /// The OAuth code, or Coze's number as digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What Coze's support asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logid: Option<String>,
    /// The library's name of the error.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Which of a workload's two requests failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<WorkloadGrant>,
    /// It is of a type that the library documents as what its calls end with. For the capability `documented`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documented: Option<bool>,
    /// What the library says of it.
    pub message: String,
}

/// The two requests of a workload's grant, by their grant types.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)] // protocol §15.2 has two
pub enum WorkloadGrant {
    /// For the id token.
    ClientCredentials,
    /// For the access token.
    TokenExchange,
}

impl Failure {
    /// Of this kind, with this text.
    #[must_use]
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }
}

/// No answer that could be judged.
#[derive(Clone)]
#[allow(clippy::exhaustive_enums)] // one is the client's fault, the other the suite's
pub enum Broken {
    /// The client itself does not work: its process died, is silent, or says what the protocol does not know.
    Client(String),
    /// What was asked makes no sense.
    Harness(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(why) | Self::Harness(why) => why.fmt(f),
        }
    }
}

/// What `main` and `unwrap` print is read by people.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Broken {}
