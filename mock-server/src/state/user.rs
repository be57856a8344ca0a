//! Users, and the tokens that they make in the console.

use serde::Serialize;

/// A person with a Coze account.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) nick: String,
    pub(crate) avatar_url: String,
    pub(crate) workspace: String,
}

/// A token that is made in the console and not by a flow.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConsoleToken {
    pub(crate) kind: &'static str,
    pub(crate) value: String,
    /// The name of its user; the first one if none is named.
    #[serde(skip)]
    pub(crate) user: Option<String>,
}
