//! Users, and tokens that they make in the console.

use std::fmt;

use serde::Serialize;

/// A person with a Coze account.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) nick: String,
    /// None for the picture that the mock serves.
    pub(crate) avatar_url: Option<String>,
    pub(crate) workspace: String,
    /// The workspaces of teams that the user has joined.
    pub(crate) workspaces: Vec<String>,
}

/// A token that was made in the console, not by a flow.
#[derive(Clone, Serialize)]
pub(crate) struct ConsoleToken {
    pub(crate) kind: &'static str,
    pub(crate) value: String,
    /// The name of its user; none means the first user.
    #[serde(skip)]
    pub(crate) user: Option<String>,
}

impl fmt::Debug for ConsoleToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleToken")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
