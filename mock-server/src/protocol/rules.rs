//! The rules: their ids here, everything else about them in `rules.toml`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde::Deserialize;

use super::tables::TABLES;

macro_rules! rules {
    ($($name:ident = $id:literal,)*) => {
        /// A rule of `rules.toml`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Rule { $($name),* }

        impl Rule {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }
        }
    };
}

rules! {
    PathKnown = "path.known",
    PathApi = "path.api",
    PathMethod = "path.method",
    CorsAnswered = "cors.answered",
    CorsExposed = "cors.exposed",
    BodyLimit = "body.limit",
    BodyJson = "body.json",
    ParamOnce = "param.once",
    ParamRequired = "param.required",
    ParamLength = "param.length",
    ParamPage = "param.page",
    GrantSupported = "grant.supported",
    ClientKnown = "client.known",
    ClientEnabled = "client.enabled",
    ClientKind = "client.kind",
    ClientSecretMissing = "client.secret_missing",
    ClientSecret = "client.secret",
    AuthorizeResponseType = "authorize.response_type",
    AuthorizeRedirectUri = "authorize.redirect_uri",
    AuthorizeRedirectUriForm = "authorize.redirect_uri_form",
    AuthorizeState = "authorize.state",
    AuthorizeCodeChallenge = "authorize.code_challenge",
    CodeKnown = "code.known",
    CodeSingleUse = "code.single_use",
    CodeExpiry = "code.expiry",
    CodeClient = "code.client",
    CodeRedirectUri = "code.redirect_uri",
    PkceVerifier = "pkce.verifier",
    PkceVerifierLength = "pkce.verifier_length",
    RefreshKnown = "refresh.known",
    RefreshRotate = "refresh.rotate",
    RefreshExpiry = "refresh.expiry",
    RefreshClient = "refresh.client",
    RefreshRevoked = "refresh.revoked",
    DeviceKnown = "device.known",
    DeviceClient = "device.client",
    DeviceSingleUse = "device.single_use",
    DeviceExpired = "device.expired",
    DeviceDenied = "device.denied",
    DeviceInterval = "device.interval",
    DevicePending = "device.pending",
    JwtPresent = "jwt.present",
    JwtForm = "jwt.form",
    JwtAlg = "jwt.alg",
    JwtKid = "jwt.kid",
    JwtIss = "jwt.iss",
    JwtSignature = "jwt.signature",
    JwtClaims = "jwt.claims",
    JwtAud = "jwt.aud",
    JwtExp = "jwt.exp",
    JwtExpAfterIat = "jwt.exp_after_iat",
    JwtJti = "jwt.jti",
    JwtJtiRoom = "jwt.jti_room",
    JwtDuration = "jwt.duration",
    JwtScope = "jwt.scope",
    WorkloadForm = "workload.form",
    WorkloadClient = "workload.client",
    WorkloadSecret = "workload.secret",
    WorkloadSubjectType = "workload.subject_type",
    WorkloadSubjectKnown = "workload.subject_known",
    WorkloadSubjectExpiry = "workload.subject_expiry",
    WorkloadSubjectClient = "workload.subject_client",
    WorkloadLane = "workload.lane",
    WorkloadAccess = "workload.access",
    WorkloadIntegration = "workload.integration",
    TokenKnown = "token.known",
    TokenExpiry = "token.expiry",
    TokenRevoked = "token.revoked",
    TokenPermission = "token.permission",
}

/// How sure we are that Coze does this, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Evidence {
    Documented,
    Sdk,
    Report,
    Guess,
}

impl Evidence {
    pub(crate) const ALL: [Self; 4] = [Self::Documented, Self::Sdk, Self::Report, Self::Guess];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Sdk => "sdk",
            Self::Report => "report",
            Self::Guess => "guess",
        }
    }
}

/// One row of `rules.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleText {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) evidence: Evidence,
    pub(crate) reference: String,
    pub(crate) switch: bool,
    #[serde(default = "on")]
    pub(crate) default: bool,
    pub(crate) status: u16,
    pub(crate) error: String,
    pub(crate) message: String,
    pub(crate) fix: String,
    /// The file of `mock-server/records` that shows it.
    pub(crate) record: Option<String>,
}

const fn on() -> bool {
    true
}

/// The table, in the order of `Rule::ALL`. A test shows that it is complete.
static TABLE: LazyLock<Vec<&RuleText>> = LazyLock::new(|| {
    let mut rows: Vec<_> = TABLES.rule.iter().collect();
    rows.sort_by_cached_key(|row| Rule::ALL.iter().position(|rule| rule.id() == row.id));
    rows
});

impl Rule {
    pub(crate) fn text(self) -> &'static RuleText {
        TABLE[self as usize]
    }

    fn named(id: &str) -> Result<Self, RuleError> {
        let found = Self::ALL.iter().find(|rule| rule.id() == id);
        found
            .copied()
            .ok_or_else(|| RuleError::Unknown(id.to_owned()))
    }
}

/// Why a rule cannot be changed in this way.
#[derive(Debug)]
pub(crate) enum RuleError {
    /// No rule has this id.
    Unknown(String),
    /// This rule cannot be turned off.
    NotSwitchable(String),
    /// A violation of this rule cannot be answered with this HTTP status.
    AnswerStatus(String, u16),
}

/// The rules that are on, and the answers that differ from the table.
#[derive(Clone, Debug)]
pub(crate) struct RuleSet {
    on: Vec<bool>,
    answers: Vec<(Rule, u16, Option<String>)>,
}

impl RuleSet {
    pub(crate) fn standard() -> Self {
        Self {
            on: Rule::ALL.iter().map(|rule| rule.text().default).collect(),
            answers: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, id: &str, on: bool) -> Result<(), RuleError> {
        let rule = Rule::named(id)?;
        if !rule.text().switch && !on {
            return Err(RuleError::NotSwitchable(id.to_owned()));
        }
        self.on[rule as usize] = on;
        Ok(())
    }

    /// Turns any rule off, to ask what the others say.
    #[cfg(feature = "shadow")]
    pub(crate) fn without(&mut self, rule: Rule) {
        self.on[rule as usize] = false;
    }

    /// All rules, those that are off by default as well.
    #[cfg(feature = "shadow")]
    pub(crate) fn strictest() -> Self {
        Self {
            on: vec![true; Rule::ALL.len()],
            answers: Vec::new(),
        }
    }

    pub(crate) fn set_answer(
        &mut self,
        id: &str,
        status: u16,
        error: Option<&str>,
    ) -> Result<(), RuleError> {
        let rule = Rule::named(id)?;
        if !(200..600).contains(&status) || (300..400).contains(&status) {
            return Err(RuleError::AnswerStatus(id.to_owned(), status));
        }
        self.answers.push((rule, status, error.map(str::to_owned)));
        Ok(())
    }

    pub(crate) fn is_on(&self, rule: Rule) -> bool {
        self.on[rule as usize]
    }

    /// Status and error code with which a violation of `rule` is answered.
    pub(crate) fn answer(&self, rule: Rule) -> (u16, &str) {
        let table = rule.text();
        match self.answers.iter().rev().find(|(of, ..)| *of == rule) {
            Some((_, status, error)) => (*status, error.as_deref().unwrap_or(&table.error)),
            None => (table.status, &table.error),
        }
    }

    /// The rules that differ from the table: id, and whether the rule is on.
    fn changed(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        Rule::ALL
            .iter()
            .filter(|rule| self.is_on(**rule) != rule.text().default)
            .map(|rule| (rule.id(), self.is_on(*rule)))
    }

    fn changed_answers(&self) -> impl Iterator<Item = (&'static str, u16, &str)> + '_ {
        self.answers.iter().map(|(rule, status, error)| {
            let error = error.as_deref().unwrap_or(&rule.text().error);
            (rule.id(), *status, error)
        })
    }

    /// The differences from Coze, one a line; empty if there are none.
    pub(crate) fn describe_changes(&self) -> String {
        let mut text = String::new();
        for (id, on) in self.changed() {
            let what = if on {
                "on, stricter than Coze"
            } else {
                "OFF, laxer than Coze"
            };
            let _ = writeln!(text, "    rule {id} is {what}");
        }
        for (id, status, error) in self.changed_answers() {
            let _ = writeln!(text, "    rule {id} is answered with {status} {error}");
        }
        match text.is_empty() {
            true => text,
            false => format!("  Not as Coze\n{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    #[test]
    fn the_table_and_the_code_name_the_same_rules() {
        let mut table: Vec<_> = TABLES.rule.iter().map(|row| &*row.id).collect();
        let mut code: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        table.sort();
        code.sort();
        assert_eq!(table, code);
        for rule in Rule::ALL {
            assert_eq!(rule.text().id, rule.id());
        }
    }

    #[test]
    fn every_rule_is_used_outside_this_file() {
        let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut code = String::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the sources are there") {
                let path = entry.expect("a readable entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("protocol/rules.rs") {
                    code += &fs::read_to_string(path).unwrap_or_default();
                }
            }
        }
        for rule in Rule::ALL {
            let used = format!("Rule::{rule:?}");
            let found = code.match_indices(&used).any(|(at, _)| {
                let next = code[at + used.len()..].chars().next();
                !next.is_some_and(char::is_alphanumeric)
            });
            assert!(
                found,
                "{} is in the table but no code refuses by it",
                rule.id()
            );
        }
    }

    #[test]
    fn the_table_says_something_in_every_column() {
        for rule in Rule::ALL {
            let row = rule.text();
            for column in [
                &row.text,
                &row.reference,
                &row.error,
                &row.message,
                &row.fix,
            ] {
                assert!(!column.trim().is_empty(), "{}", row.id);
            }
            assert!((400..600).contains(&row.status), "{}", row.id);
            assert!(row.default || row.switch, "{} could never be on", row.id);
        }
    }

    #[test]
    fn a_rule_without_switch_stays_on() {
        let mut rules = RuleSet::standard();
        let refused = rules.set("client.known", false);
        assert!(matches!(refused, Err(RuleError::NotSwitchable(id)) if id == "client.known"));
        assert!(rules.is_on(Rule::ClientKnown));
        let unknown = rules.set("client.knwon", false);
        assert!(matches!(unknown, Err(RuleError::Unknown(_))));
    }
}
