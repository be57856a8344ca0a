//! What the mock's answers rest on beside its rules: the sentences of the protocol page that an answer of the upstream can contradict.

use crate::protocol::rules::{Evidence, Rule};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Rule(Rule),
    Statement(Statement),
}

macro_rules! statements {
    ($($name:ident = $id:literal, $evidence:ident, $reference:literal, $text:literal;)*) => {
        /// A sentence of the protocol page about answers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Statement { $($name),* }

        impl Statement {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            const fn row(self) -> (&'static str, Evidence, &'static str, &'static str) {
                match self { $(Self::$name => ($id, Evidence::$evidence, $reference, $text)),* }
            }
        }
    };
}

statements! {
    Token = "answer.token", Documented, "protocol §3.1",
        "A token answer has access_token, expires_in in Unix seconds, token_type and, but for the JWT grant, refresh_token.";
    Device = "answer.device", Documented, "protocol §3.2",
        "A device answer has device_code, user_code, verification_uri, and expires_in and interval in seconds.";
    WorkloadToken = "answer.workload_token", Sdk, "protocol §15.3",
        "A token answer of a workload has access_token, expires_in in seconds, and token_type; that of an exchange also issued_token_type.";
    UsersMe = "answer.users_me", Sdk, "protocol §10",
        "The answer of /v1/users/me has code 0, msg, detail.logid, and in data the texts user_id, user_name, nick_name and avatar_url.";
    Workspaces = "answer.workspaces", Sdk, "protocol §10.1",
        "The answer of /v1/workspaces has code 0, msg, detail.logid, and in data total_count and workspaces.";
    Outbound = "answer.outbound", Sdk, "protocol §15.5",
        "The answers about integrations and variables have code 0, msg, and data.";
    Authorize = "answer.authorize", Documented, "protocol §2.2",
        "An authorize request that keeps the rules is answered with a redirect.";
    Error = "answer.error", Documented, "protocol §4.1",
        "A refusal of an OAuth endpoint has error_code, error_message and error; of a workload error and error_description; of the API code, msg and detail.logid.";
    LogId = "answer.logid", Documented, "protocol §2.3",
        "Every answer has the header x-tt-logid.";
    ContentType = "answer.content_type", Guess, "protocol §3",
        "An answer in JSON says so in its Content-Type.";
    Granted = "answer.granted", Guess, "protocol §13.2",
        "A request that keeps all rules is granted.";
}

impl About {
    /// Everything that a finding can be about, in the order of a report.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let rules = Rule::ALL.iter().map(|rule| Self::Rule(*rule));
        rules.chain(Statement::ALL.iter().map(|one| Self::Statement(*one)))
    }

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.id(),
            Self::Statement(one) => one.row().0,
        }
    }

    pub(crate) fn evidence(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.text().evidence.name(),
            Self::Statement(one) => one.row().1.name(),
        }
    }

    pub(crate) fn reference(self) -> &'static str {
        match self {
            Self::Rule(rule) => &rule.text().reference,
            Self::Statement(one) => one.row().2,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Rule(rule) => &rule.text().text,
            Self::Statement(one) => one.row().3,
        }
    }
}

impl From<Rule> for About {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

impl From<Statement> for About {
    fn from(statement: Statement) -> Self {
        Self::Statement(statement)
    }
}
