//! The judge: compares each answer of the upstream with what the mock's rules say, and names what they differ in.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderName, ORIGIN,
};
use serde_json::{Map, Value};

use super::answer::Answer;
use super::case::{Case, Gap, Verdict, spends};
use super::facts::Facts;
use super::report::Report;
use super::statements::{About, Statement};
use super::upstream::{Audience, Site};
use crate::limits::SHADOW_TOLERANCE;
use crate::protocol::assertion::Assertion;
use crate::protocol::digest::{Digest, digest};
use crate::protocol::endpoint::Endpoint;
use crate::protocol::json_body::kind_of;
use crate::protocol::request::{Credential, Incoming};
use crate::protocol::response::LOGID;
use crate::protocol::rules::{Rule, RuleSet};
use crate::redact::json::member_name;
use crate::redact::places;

/// Seconds by which a lifetime of the upstream may differ from the mock's before they are two.
const LIFETIME_TOLERANCE_S: u64 = 5;

/// How old a code has to be before a refusal is taken for its end, and not for something else.
const OLD: Duration = Duration::from_secs(30);

/// Something in which the upstream and the mock differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: String,
    /// What the mock would have answered.
    pub(crate) expected: String,
    /// What the upstream has answered.
    pub(crate) actual: String,
}

/// What one exchange has shown.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) agrees: Vec<About>,
    pub(crate) differs: Vec<(About, Difference)>,
    pub(crate) not_judged: Vec<(About, &'static str)>,
}

impl Findings {
    fn agree(&mut self, about: impl Into<About>) {
        self.agrees.push(about.into());
    }

    fn differ(
        &mut self,
        about: impl Into<About>,
        what: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) {
        let difference = Difference {
            what: what.into(),
            expected: expected.into(),
            actual: actual.into(),
        };
        self.differs.push((about.into(), difference));
    }

    fn leave(&mut self, about: impl Into<About>, why: &'static str) {
        self.not_judged.push((about.into(), why));
    }

    /// Returns false if something was left unjudged, and all that was said is about headers that every answer has.
    pub(crate) fn has_outcome(&self) -> bool {
        let differs = self.differs.iter().map(|(about, _)| about);
        let mut said = self.agrees.iter().chain(differs);
        self.not_judged.is_empty()
            || said.any(|about| {
                !matches!(
                    about,
                    About::Statement(Statement::LogId | Statement::ContentType)
                        | About::Rule(Rule::CorsAnswered | Rule::CorsExposed)
                )
            })
    }
}

/// Requests under way that present the same secret.
#[derive(Debug, Default)]
struct UnderWay {
    now: usize,
    overlap: bool,
}

/// Compares what the upstream answers with what the mock's rules say.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) facts: Facts,
    rules: RuleSet,
    strictest: RuleSet,
    /// The upstream's API, whose host an `aud` names.
    api: Site,
    under_way: HashMap<Digest, UnderWay>,
    pub(crate) report: Report,
}

const SLOW: &str = "the answer took so long that only the upstream knows when the token was made";
const NEAR: &str =
    "the clocks of both sides decide: the request was sent within two seconds of a limit";

impl Judge {
    pub(crate) fn new(facts: Facts, api: Site) -> Self {
        Self {
            facts,
            rules: RuleSet::standard(),
            strictest: RuleSet::strictest(),
            api,
            under_way: HashMap::new(),
            report: Report::default(),
        }
    }

    /// Notes that a request is sent.
    pub(crate) fn begin(&mut self, request: &Incoming) {
        if let Some(key) = spends(request) {
            let under_way = self.under_way.entry(key).or_default();
            under_way.now += 1;
            under_way.overlap |= under_way.now > 1;
        }
    }

    /// Notes that a request has ended. Returns true if another one with the same secret was under way meanwhile.
    fn end(&mut self, request: &Incoming) -> bool {
        let Some(key) = spends(request) else {
            return false;
        };
        let Some(under_way) = self.under_way.get_mut(&key) else {
            return false;
        };
        under_way.now -= 1;
        let overlap = under_way.overlap;
        if under_way.now == 0 {
            self.under_way.remove(&key);
        }
        overlap
    }

    /// Notes that a request got no answer that can be read. `may_have_acted` is false if nothing was sent.
    pub(crate) fn lost(&mut self, request: &Incoming, may_have_acted: bool) {
        self.end(request);
        if may_have_acted {
            self.facts.lose(spends(request));
            self.report.lost += 1;
        }
    }

    /// Judges an exchange, which began at these times, and learns from it.
    pub(crate) fn judge(
        &mut self,
        request: &Incoming,
        (at_ms, steady): (u64, Duration),
        answer: &Answer,
    ) {
        let overlap = self.end(request);
        let mut findings = Findings::default();
        if self.is_preflight(request, answer, &mut findings) {
            self.report.add(request, None, findings);
            return;
        }
        // By the upstream's clock, as far as it is told.
        let tolerance_s = SHADOW_TOLERANCE.as_secs();
        let at_ms = match answer.date() {
            Some(date) if date.abs_diff(at_ms / 1000) > tolerance_s => date * 1000,
            _ => at_ms,
        };
        let mut case = Case::new(&mut self.facts, request, (at_ms, steady), answer);
        if overlap {
            case.assumed.push(Gap::Overlap);
        }
        let verdict = case.ask(&self.facts, &self.rules, 0);
        let expects_trouble = verdict.refusal.is_some() && verdict.status >= 500;
        if case.is_magic {
            findings.leave(
                Rule::PathApi,
                "the request has a value that means something to a mock alone",
            );
        } else if answer.is_trouble() && !expects_trouble {
            findings.leave(
                Statement::Granted,
                "the upstream had trouble that passes, or too many requests",
            );
        } else {
            self.compare(&case, &verdict, answer, &mut findings);
            headers(request, answer, &mut findings);
        }
        if !case.is_magic {
            self.facts.learn(&case, answer, verdict.jti_is_spent);
        }
        let grant = case.grant;
        self.report.add(request, grant, findings);
    }

    fn is_preflight(&self, request: &Incoming, answer: &Answer, found: &mut Findings) -> bool {
        let asks = request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let Some(origin) = request.headers.get(ORIGIN) else {
            return false;
        };
        if request.method != Method::OPTIONS || !asks {
            return false;
        }
        let opened = answer.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        match answer.status.as_u16() {
            204 if opened == Some(origin) => found.agree(Rule::CorsAnswered),
            204 => found.differ(
                Rule::CorsAnswered,
                "access-control-allow-origin",
                "the origin",
                there(opened.is_some()),
            ),
            status => found.differ(Rule::CorsAnswered, "status", "204", status.to_string()),
        }
        true
    }

    fn compare(&self, case: &Case<'_>, verdict: &Verdict, answer: &Answer, found: &mut Findings) {
        match (&verdict.refusal, answer.is_success()) {
            (None, true) => success(case, verdict, answer, found),
            (Some(refusal), true) => self.accepted(case, refusal.rule, found),
            (None, false) => self.refused(case, answer, found),
            (Some(refusal), false) => {
                self.both_refused(case, (refusal.rule, verdict), answer, found);
            }
        }
    }

    /// The upstream has accepted what `rule` refuses.
    fn accepted(&self, case: &Case<'_>, rule: Rule, found: &mut Findings) {
        let is_of_kind = matches!(
            rule,
            Rule::ClientSecret | Rule::ClientSecretMissing | Rule::ClientKind
        );
        if is_of_kind && case.assumed.contains(&Gap::Kind) {
            let (_, why) = Gap::Kind.tells(self.facts.of_record);
            return found.leave(rule, why);
        }
        if case.assumed.contains(&Gap::Overlap) {
            return found.leave(rule, Gap::Overlap.tells(self.facts.of_record).1);
        }
        if self.near(case).any(|verdict| verdict.refusal.is_none()) {
            return found.leave(rule, NEAR);
        }
        // Each rule that has to be off until the request is granted is one that the upstream does not have.
        let mut rules = self.rules.clone();
        let mut next = Some(rule);
        let mut named = Vec::new();
        while let Some(rule) = next.filter(|rule| !named.contains(rule)) {
            named.push(rule);
            let (status, code) = self.rules.answer(rule);
            found.differ(rule, "outcome", format!("{status} {code}"), "accepted");
            rules.without(rule);
            next = case
                .ask(&self.facts, &rules, 0)
                .refusal
                .map(|refusal| refusal.rule);
        }
    }

    /// What the rules say shortly before and after.
    fn near(&self, case: &Case<'_>) -> impl Iterator<Item = Verdict> {
        let by = i64::try_from(SHADOW_TOLERANCE.as_millis()).unwrap_or_default();
        [-by, by]
            .map(|by| case.ask(&self.facts, &self.rules, by))
            .into_iter()
    }

    /// The upstream has refused what no rule refuses.
    fn refused(&self, case: &Case<'_>, answer: &Answer, found: &mut Findings) {
        let code = answer.code.as_deref().unwrap_or_default();
        let mut gaps = case.assumed.iter().filter(|gap| gap.explains(code));
        if let Some(gap) = gaps.next() {
            let (rule, why) = gap.tells(self.facts.of_record);
            return found.leave(rule, why);
        }
        match code {
            "access_deny" => {
                let why = "the owner of the app may have changed it, which the shadow does not see";
                return found.leave(Rule::ClientEnabled, why);
            }
            "4101" => {
                let why =
                    "what a token may do is set in the console, which the shadow does not see";
                return found.leave(Rule::TokenPermission, why);
            }
            "4100" | "700012006" if case.access.is_some() => {
                let why = "the token may have been revoked, which the shadow does not see";
                return found.leave(Rule::TokenRevoked, why);
            }
            _ => {}
        }
        let said = format!("{} {}", answer.status.as_u16(), shown(code));
        let strict = case.ask(&self.facts, &self.strictest, 0);
        if let Some(refusal) = &strict.refusal
            && self.is_answer(case, refusal.rule, answer)
        {
            return found.differ(refusal.rule, "outcome", "accepted", said);
        }
        let near = self.near(case).filter_map(|verdict| verdict.refusal);
        for refusal in near {
            if self.is_answer(case, refusal.rule, answer) {
                return found.leave(refusal.rule, NEAR);
            }
        }
        found.differ(self.blamed(case, answer), "outcome", "accepted", said);
    }

    /// The rule by which the upstream may have refused a request that keeps all of the mock's.
    fn blamed(&self, case: &Case<'_>, answer: &Answer) -> About {
        let is_old = |made_s: u64| case.at_ms / 1000 >= made_s + OLD.as_secs();
        let code = answer.code.as_deref();
        if let Some((key, entry)) = &case.code {
            let made_ms = entry
                .expires_ms
                .saturating_sub(self.facts.ttl().code * 1000);
            return match self.facts.was_refused(key) {
                // The mock lets a refused exchange leave the code alone.
                true => Rule::CodeSingleUse.into(),
                false if is_old(made_ms / 1000) => Rule::CodeExpiry.into(),
                false => Statement::Granted.into(),
            };
        }
        match (case.grant, code) {
            (Some("device_code"), Some("expired_token")) => Rule::DeviceExpired.into(),
            (Some("device_code"), Some("slow_down")) => Rule::DeviceInterval.into(),
            (Some("jwt_bearer"), _) if self.may_miss_audience(case) => Rule::JwtAud.into(),
            _ => {
                let message = ["error_message", "error_description", "msg"];
                let said = message.iter().find_map(|name| answer.text(name));
                let mut rules = Rule::ALL.iter();
                let found = rules.find(|rule| {
                    let row = rule.text();
                    Some(&*row.error) == code && said == Some(&row.message)
                });
                match found {
                    Some(rule) => (*rule).into(),
                    None => Statement::Granted.into(),
                }
            }
        }
    }

    /// Returns true if `aud` is another than the documented one, so that the upstream may have refused it for that.
    fn may_miss_audience(&self, case: &Case<'_>) -> bool {
        let Ok(Credential::Bearer(assertion)) = case.request.credential() else {
            return false;
        };
        Assertion::parse(assertion).is_ok_and(|jwt| self.api.named_in(&jwt) != Audience::Bare)
    }

    fn both_refused(
        &self,
        case: &Case<'_>,
        (rule, verdict): (Rule, &Verdict),
        answer: &Answer,
        found: &mut Findings,
    ) {
        if self.is_answer(case, rule, answer) {
            found.agree(rule);
            return error(case, verdict, answer, found);
        }
        let code = answer.code.as_deref().unwrap_or_default();
        let mut gaps = case.assumed.iter().filter(|gap| gap.explains(code));
        if let Some(gap) = gaps.next() {
            let (rule, why) = gap.tells(self.facts.of_record);
            return found.leave(rule, why);
        }
        let is_near = self.near(case).any(|verdict| match verdict.refusal {
            Some(near) => near.rule != rule && self.is_answer(case, near.rule, answer),
            None => false,
        });
        if is_near {
            return found.leave(rule, NEAR);
        }
        // Perhaps the upstream does not have this rule, and the next one has refused.
        let mut rules = self.rules.clone();
        rules.without(rule);
        let next = case.ask(&self.facts, &rules, 0).refusal;
        let next = next.filter(|next| next.rule != rule && self.is_answer(case, next.rule, answer));
        if let Some(next) = next {
            let actual = format!("refused by {}", next.rule.id());
            return found.differ(rule, "outcome", format!("refused by {}", rule.id()), actual);
        }
        let (status, expected) = self.rules.answer(rule);
        if status != answer.status.as_u16() {
            let actual = answer.status.as_u16().to_string();
            found.differ(rule, "status", status.to_string(), actual);
        }
        if !case.is_authorize() && expected != code {
            found.differ(rule, "code", expected, shown(code));
        }
    }

    /// Returns true if the upstream has answered as a violation of `rule` is answered.
    fn is_answer(&self, case: &Case<'_>, rule: Rule, answer: &Answer) -> bool {
        let (status, code) = self.rules.answer(rule);
        let is_code = answer.code.as_deref() == Some(code);
        status == answer.status.as_u16() && (case.is_authorize() || is_code)
    }
}

/// A code of the upstream's, which could be anything.
fn shown(code: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    match code {
        "" => "without a code".to_owned(),
        _ if code.len() <= 32 && code.bytes().all(is_word) => places::value(code).into_owned(),
        _ => "another text".to_owned(),
    }
}

const fn there(is_there: bool) -> &'static str {
    match is_there {
        true => "another value",
        false => "not there",
    }
}

/// Compares the headers that SDKs and browsers read.
fn headers(request: &Incoming, answer: &Answer, found: &mut Findings) {
    match answer.headers.contains_key(LOGID) {
        true => found.agree(Statement::LogId),
        false => found.differ(Statement::LogId, LOGID.as_str(), "there", "not there"),
    }
    if answer.members.is_some() {
        match answer.is_json() {
            true => found.agree(Statement::ContentType),
            false => found.differ(
                Statement::ContentType,
                "content-type",
                "application/json",
                "another one",
            ),
        }
    }
    let Some(origin) = request.headers.get(ORIGIN) else {
        return;
    };
    let has = |name: HeaderName| answer.headers.get(name);
    match has(ACCESS_CONTROL_ALLOW_ORIGIN) {
        Some(opened) if opened == origin => found.agree(Rule::CorsAnswered),
        other => {
            let name = ACCESS_CONTROL_ALLOW_ORIGIN.as_str();
            found.differ(
                Rule::CorsAnswered,
                name,
                "the origin",
                there(other.is_some()),
            );
            return;
        }
    }
    let exposed = answer
        .header(ACCESS_CONTROL_EXPOSE_HEADERS)
        .unwrap_or_default();
    let mut names = exposed.split(',').map(str::trim);
    match names.any(|name| name.eq_ignore_ascii_case(LOGID.as_str())) {
        true => found.agree(Rule::CorsExposed),
        false => {
            let name = ACCESS_CONTROL_EXPOSE_HEADERS.as_str();
            found.differ(
                Rule::CorsExposed,
                name,
                LOGID.as_str(),
                there(!exposed.is_empty()),
            );
        }
    }
}

/// The sentence about the answer of this request.
fn statement(case: &Case<'_>) -> Statement {
    match case.endpoint() {
        Endpoint::Authorize { .. } => Statement::Authorize,
        Endpoint::Token { .. } => Statement::Token,
        Endpoint::DeviceCode { .. } => Statement::Device,
        Endpoint::WorkloadToken { .. } => Statement::WorkloadToken,
        Endpoint::UsersMe => Statement::UsersMe,
        Endpoint::Workspaces => Statement::Workspaces,
        Endpoint::Integration | Endpoint::ProjectEnv => Statement::Outbound,
        Endpoint::Api | Endpoint::Unknown => Statement::Granted,
    }
}

/// Both sides have granted the request: compares status, members, types and lifetimes.
fn success(case: &Case<'_>, verdict: &Verdict, answer: &Answer, found: &mut Findings) {
    let about = statement(case);
    let before = found.differs.len();
    let status = answer.status.as_u16();
    if verdict.status != status {
        found.differ(
            about,
            "status",
            verdict.status.to_string(),
            status.to_string(),
        );
    }
    if !case.is_authorize() {
        let Some(expected) = &verdict.members else {
            return;
        };
        let Some(actual) = &answer.members else {
            return found.differ(about, "body", "a JSON object", "something else");
        };
        shapes(expected, actual, "", &mut |what, expected, actual| {
            // A refresh without a new token is told by the rule about it.
            let is_rotation = case.grant == Some("refresh_token") && what == "refresh_token";
            if !is_rotation {
                found.differ(about, what, expected, actual);
            }
        });
        lifetimes(case, expected, answer, found);
    }
    if found.differs.len() == before {
        found.agree(about);
    }
    if case.grant == Some("refresh_token") {
        let new = answer.text("refresh_token").map(digest);
        match new {
            Some(new) if Some(new) != case.presented => found.agree(Rule::RefreshRotate),
            Some(_) => found.differ(
                Rule::RefreshRotate,
                "refresh_token",
                "a new one",
                "the one that was sent",
            ),
            None => found.differ(Rule::RefreshRotate, "refresh_token", "a new one", "none"),
        }
    }
}

/// Both sides have refused in the same way: compares the members.
fn error(case: &Case<'_>, verdict: &Verdict, answer: &Answer, found: &mut Findings) {
    if case.is_authorize() {
        return;
    }
    let (Some(expected), Some(actual)) = (&verdict.members, &answer.members) else {
        return;
    };
    let before = found.differs.len();
    shapes(expected, actual, "", &mut |what, expected, actual| {
        found.differ(Statement::Error, what, expected, actual);
    });
    if found.differs.len() == before {
        found.agree(Statement::Error);
    }
}

/// Tells the members that only one of both has, and those of another type. Of arrays the first items are compared.
fn shapes(
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    within: &str,
    differ: &mut dyn FnMut(String, &'static str, &'static str),
) {
    let path = |name: &str| match within {
        "" => member_name(name).to_owned(),
        within => format!("{within}.{}", member_name(name)),
    };
    for (name, wanted) in expected {
        let Some(found) = actual.get(name) else {
            differ(path(name), kind_of(wanted), "not there");
            continue;
        };
        if kind_of(wanted) != kind_of(found) {
            differ(path(name), kind_of(wanted), kind_of(found));
            continue;
        }
        let (wanted, found) = match (wanted, found) {
            (Value::Array(wanted), Value::Array(found)) => (wanted.first(), found.first()),
            _ => (Some(wanted), Some(found)),
        };
        if let (Some(Value::Object(wanted)), Some(Value::Object(found))) = (wanted, found) {
            shapes(wanted, found, &path(name), differ);
        }
    }
    for (name, found) in actual {
        if !expected.contains_key(name) {
            differ(path(name), "not there", kind_of(found));
        }
    }
}

/// Compares how long things live.
fn lifetimes(
    case: &Case<'_>,
    expected: &Map<String, Value>,
    answer: &Answer,
    found: &mut Findings,
) {
    let (rule, is_moment) = match (case.endpoint(), case.grant) {
        (Endpoint::Token { .. }, _) => (Rule::TokenExpiry, true),
        (Endpoint::WorkloadToken { .. }, Some("client_credentials")) => {
            (Rule::WorkloadSubjectExpiry, false)
        }
        (Endpoint::WorkloadToken { .. }, _) => (Rule::TokenExpiry, false),
        (Endpoint::DeviceCode { .. }, _) => (Rule::DeviceExpired, false),
        _ => return,
    };
    let of = |members: &Map<String, Value>, name: &str| members.get(name).and_then(Value::as_u64);
    let Some(actual) = &answer.members else {
        return;
    };
    let at_s = case.at_ms / 1000;
    if let (Some(wanted), Some(said)) = (of(expected, "expires_in"), of(actual, "expires_in")) {
        let says_moment = said >= 1_000_000_000;
        let (wanted, said_s) = match is_moment {
            true => (wanted.saturating_sub(at_s), said.saturating_sub(at_s)),
            false => (wanted, said),
        };
        if says_moment != is_moment {
            let meaning = |is_moment| match is_moment {
                true => "a moment, in Unix seconds",
                false => "a duration in seconds",
            };
            let about = statement(case);
            found.differ(
                about,
                "expires_in",
                meaning(is_moment),
                meaning(says_moment),
            );
        } else if wanted.abs_diff(said_s) <= LIFETIME_TOLERANCE_S {
            found.agree(rule);
        } else if is_moment
            && wanted.abs_diff(said_s) <= LIFETIME_TOLERANCE_S + answer.took.as_secs()
        {
            found.leave(rule, SLOW);
        } else {
            found.differ(
                rule,
                "lifetime",
                format!("{wanted} s"),
                format!("{said_s} s"),
            );
        }
    }
    if let (Some(wanted), Some(said)) = (of(expected, "interval"), of(actual, "interval")) {
        match wanted == said {
            true => found.agree(Rule::DeviceInterval),
            false => {
                let seconds = |s| format!("{s} s");
                found.differ(
                    Rule::DeviceInterval,
                    "interval",
                    seconds(wanted),
                    seconds(said),
                );
            }
        }
    }
}
