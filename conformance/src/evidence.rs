//! Evidence from who has an account: a guided run over the open questions of the protocol page (§14), with an app of one's own.
//!
//! Each request goes through the mock's shadow, once, within the budget of its question, after the person was asked; the first 429
//! ends the run. `docs/shadow.md` has what a person needs to know.

mod app;
mod ask;
mod person;
mod questions;
mod report;
mod table;
mod wire;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use coze_auth_mock::{Shadow, ShadowBuilder};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::Url;

pub use self::person::{Exchange, Person, Reply, Step, Terminal, Visit, Visited};
pub use self::questions::{QUESTIONS, Question};
pub use self::report::{Finding, Findings};

use self::app::{App, Kind};
use self::table::Table;
use self::wire::{Answer, Halt, Sent, Wire};
use crate::clock::SharedClock;
use crate::variables::{OF_APPS, REDIRECT_URIS, TOKEN};

/// Maximum number of requests of a run.
#[must_use]
pub fn budget() -> u32 {
    QUESTIONS.iter().map(|question| question.budget).sum()
}

/// Looks up a variable of the environment.
pub type Lookup = Box<dyn Fn(&str) -> Option<String>>;

/// What a run is to have.
pub struct Settings {
    /// Files `coze_oauth_config.json`, of apps of different kinds.
    pub apps: Vec<PathBuf>,
    /// The base of the API in the place of that of the files, which is needed if there is none.
    pub base: Option<String>,
    /// The base of the pages in the place of that of the files.
    pub www: Option<String>,
    /// A redirect URI that is registered with the web or PKCE app, if the file has none.
    pub redirect_uri: Option<String>,
    /// Trusts the CA of this file, in PEM, and none of the operating system's.
    pub upstream_ca: Option<PathBuf>,
    /// Asks also what needs half an hour or an app that is deactivated.
    pub long: bool,
    /// The result of a run in the other region, in JSON.
    pub beside: Option<Value>,
    /// Looks up a variable of the environment: a workload's, `COZE_API_TOKEN`, a redirect URI.
    pub variable: Lookup,
    /// The clock of the run, by which it waits. A mock as the service has to share it.
    pub clock: SharedClock,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("apps", &self.apps)
            .field("long", &self.long)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// With this process's variables and the machine's time.
    #[must_use]
    pub fn of_this_machine(apps: Vec<PathBuf>) -> Self {
        Self {
            apps,
            base: None,
            www: None,
            redirect_uri: None,
            upstream_ca: None,
            long: false,
            beside: None,
            variable: Box::new(|name| std::env::var(name).ok()),
            clock: SharedClock::real(),
        }
    }
}

/// A pair of tokens of a login.
#[derive(Clone, Default)]
struct Grant {
    access: String,
    refresh: Option<String>,
}

/// A token answer, without the token.
struct Issued {
    flow: &'static str,
    token_type: Option<String>,
    seconds: Option<i64>,
    /// The seconds are by the service's own clock.
    is_timed: bool,
    has_refresh: bool,
}

/// What follows from an answer, if something of this run shows that the cause is what the question changed.
struct Claim {
    question: u8,
    /// Name of the app, or "workload", whose right request has to succeed in this run.
    who: &'static str,
    what: String,
    means: Option<String>,
    change: Option<String>,
}

/// Maximum number of seconds between this machine's clock and the service's, so that an assertion's times say something.
const CLOCK: i64 = 10;

/// Why a run is over.
const BY_WHO_WAS_ASKED: &str = "who was asked has ended it";

/// A run that is under way.
struct Run<'a> {
    wire: Wire,
    person: &'a mut dyn Person,
    apps: Vec<App>,
    /// The base of the API.
    base: String,
    /// The base of the pages, if it was named.
    www: Option<String>,
    /// Host and port of the API, as an assertion names it.
    audience: String,
    long: bool,
    variables: BTreeMap<&'static str, String>,
    beside: Option<Value>,
    clock: SharedClock,
    table: Table,
    findings: Vec<Finding>,
    /// Number of the question that is asked.
    now: u8,
    grants: BTreeMap<Kind, Grant>,
    /// An access token of the JWT app.
    service_token: Option<String>,
    issued: Vec<Issued>,
    /// Whose right requests have succeeded.
    proven: BTreeSet<&'static str>,
    /// What waits for such a success.
    claims: Vec<Claim>,
    /// What an app's refresh with a made-up token gets.
    unknown_refresh: BTreeMap<Kind, Answer>,
    /// Seconds by which this machine's clock is ahead of the service's. None without a `Date` in its answers.
    ahead: Option<i64>,
    workload: ask::Workload,
}

/// Asks the questions, and returns what was found.
///
/// # Errors
///
/// If an app cannot be read, if the service cannot be the upstream of a shadow, or if two apps are of one kind or of two services.
pub fn run(settings: Settings, person: &mut dyn Person) -> Result<Findings, String> {
    let apps: Result<Vec<App>, String> = settings.apps.iter().map(|file| App::read(file)).collect();
    let mut apps = apps?;
    apps.sort_by_key(|app| app.kind);
    for (one, other) in apps.iter().zip(apps.iter().skip(1)) {
        if one.kind == other.kind {
            let kind = one.kind.told();
            return Err(format!(
                "two apps are of the kind {kind}; give one of a kind"
            ));
        }
        if settings.base.is_none() && one.base != other.base {
            return Err(
                "the apps have different coze_api_base: one run asks one service".to_owned(),
            );
        }
    }
    let variable = |name: &str| (settings.variable)(name).filter(|value| !value.is_empty());
    let uris = REDIRECT_URIS.map(|(_, name)| variable(name));
    let from_environment = uris.into_iter().flatten().next();
    let redirect_uri = settings.redirect_uri.or(from_environment);
    for app in &mut apps {
        if let Some(uri) = &redirect_uri {
            app.redirect_uri = Some(uri.clone());
        }
    }
    let base = settings.base.or_else(|| Some(apps.first()?.base.clone()));
    let base = base.ok_or("name the service: an app with --app, or its address with --base")?;
    let base = base.trim_end_matches('/').to_owned();
    let www = settings
        .www
        .or_else(|| apps.iter().find_map(|app| app.www.clone()));
    let url = Url::parse(&base).map_err(|_| "the base is not an absolute URL".to_owned())?;

    let of_workload = OF_APPS.iter().filter(|(kind, ..)| *kind == "workload");
    let mut variables = BTreeMap::new();
    for (_, member, name) in of_workload {
        variables.extend(variable(name).map(|value| (*member, value)));
    }
    variables.extend(variable(TOKEN).map(|value| ("token", value)));

    let runtime = Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
    let start = |origin: &str, set: &dyn Fn(ShadowBuilder) -> ShadowBuilder| {
        let builder = Shadow::builder(origin).clock(settings.clock.handle());
        let builder = match &settings.upstream_ca {
            Some(ca) => builder.upstream_ca(ca),
            None => builder,
        };
        let started = runtime.block_on(set(builder.any_audience()).start());
        started.map_err(|error| error.to_string())
    };
    let shadow = start(&base, &|builder| {
        let builder = apps
            .iter()
            .fold(builder.records(), |builder, app| builder.app(&app.file));
        match &www {
            Some(www) => builder.www(www),
            None => builder,
        }
    })?;
    let mut ways: Vec<(String, String)> = Vec::new();
    for origin in shadow.upstream() {
        ways.push((origin, shadow.base_url().to_owned()));
    }
    // A workload's endpoints may be elsewhere. A shadow of their own passes them on, and the record does not have them.
    let mut others = Vec::new();
    for name in ["identity_endpoint", "access_endpoint", "outbound_endpoint"] {
        let url = variables.get(name).and_then(|url| Url::parse(url).ok());
        let Some(origin) = url.map(|url| url.origin().ascii_serialization()) else {
            continue;
        };
        if ways.iter().all(|(own, _)| *own != origin) {
            let other = start(&origin, &|builder| builder)?;
            ways.push((origin, other.base_url().to_owned()));
            others.push(other);
        }
    }
    let mut wire = Wire::new(ways);
    for app in &apps {
        wire.hide(&app.client_id);
        app.secret.iter().for_each(|secret| wire.hide(secret));
        app.key.iter().for_each(|(id, _)| wire.hide(id));
    }
    for (name, value) in &variables {
        if matches!(*name, "client_id" | "client_secret" | "token") {
            wire.hide(value);
        }
    }
    let host = url.host_str().unwrap_or_default();
    let mut run = Run {
        wire,
        person,
        base: base.clone(),
        www: www.clone(),
        audience: match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        },
        long: settings.long,
        variables,
        beside: settings.beside,
        clock: settings.clock,
        table: Table::read()?,
        findings: QUESTIONS
            .iter()
            .map(|question| Finding {
                number: question.number,
                ..Finding::default()
            })
            .collect(),
        now: 0,
        grants: BTreeMap::new(),
        service_token: None,
        issued: Vec::new(),
        proven: BTreeSet::new(),
        claims: Vec::new(),
        unknown_refresh: BTreeMap::new(),
        ahead: None,
        workload: ask::Workload::default(),
        apps,
    };
    let is_known = ["coze.cn", "coze.com"]
        .iter()
        .any(|domain| host == *domain || host.ends_with(&format!(".{domain}")));
    // The shadow takes plain http to this machine alone.
    let is_here = url.scheme() == "http";
    run.introduces(&base);
    if !is_known && !is_here {
        let what = format!(
            "{host} is not a host of Coze's. The logins, codes and secrets of your apps go to it."
        );
        if !run.person.agrees(&what) {
            return Err("nothing was sent".to_owned());
        }
    }
    run.all();
    let service = match is_known || is_here {
        true => base.clone(),
        false => "another host".to_owned(),
    };
    let record = match shadow.record() {
        Some(record) => record,
        None => Err("nothing was recorded".to_owned()),
    };
    Ok(run.finished(service, record))
}

impl Run<'_> {
    /// Says who is asked, and as whom.
    fn introduces(&mut self, base: &str) {
        let mut whom: Vec<&str> = self.apps.iter().map(|app| app.kind.told()).collect();
        if self.variables.keys().any(|name| *name != "token") {
            whom.push("workload");
        }
        let whom = match whom.is_empty() {
            true => "without an app".to_owned(),
            false => format!("as {}", whom.join(", ")),
        };
        let token = match self.variables.contains_key("token") {
            true => format!(
                "\nThe token of {TOKEN} is sent, too: to /v1/users/me, /v1/workspaces and /v3/chat (without a bot, so that nothing begins)."
            ),
            false => String::new(),
        };
        let about = format!(
            "Asks {base} {whom}.{token}\nAt most {} requests in {} questions if there is an app of every kind, and fewer with some. No request is sent again by itself; \
            a code and a refresh token are used twice on purpose, and their steps say so. The run ends at the first 429. Answer q to end it: what was found until then is told.",
            budget(),
            QUESTIONS.len()
        );
        self.person.hears(&about);
    }

    fn all(&mut self) {
        for (number, ask) in ask::ORDER {
            self.now = number;
            match ask(self) {
                Ok(()) => {}
                Err(Halt::Question(why)) => self.not_asked(why),
                Err(Halt::Run) => {}
            }
            if self.wire.ended.is_some() {
                let why = "the run had ended".to_owned();
                let finding = self.finding();
                if finding.not_asked.is_empty() && finding.seen.is_empty() {
                    finding.not_asked.push(why);
                }
            }
        }
        self.settle();
        self.now = 0;
        ask::after_all(self);
    }

    /// Concludes what waited for a success, or says that there was none.
    fn settle(&mut self) {
        for claim in std::mem::take(&mut self.claims) {
            self.now = claim.question;
            if self.proven.contains(claim.who) {
                self.conclude(claim);
                continue;
            }
            let Claim { who, what, .. } = claim;
            let clock = match self.ahead {
                Some(ahead) if ahead.abs() > CLOCK => format!(
                    "; this machine's clock is {} s {} that of the service, which is enough to be refused: set it",
                    ahead.abs(),
                    if ahead > 0 { "ahead of" } else { "behind" }
                ),
                _ => String::new(),
            };
            let why = match who {
                "workload" => "no right request of the workload succeeded in this run; see that its variables are of one project, and run it again".to_owned(),
                "/v1/users/me" => "no token was accepted at /v1/users/me in this run, so the address, the region or a permission may be what is refused; run it again with a login, or with COZE_API_TOKEN and --api-token".to_owned(),
                kind => format!("no right request of the {kind} app succeeded in this run, so the app itself may be what is refused; see that its file names the right kind, secret, key, region and redirect URI and that the app is not deactivated, and run it again with a login or a device that you approve"),
            };
            self.not_concluded(&what, &format!("{why}{clock}"));
        }
    }

    fn conclude(&mut self, claim: Claim) {
        if let Some(means) = claim.means {
            self.means(means);
        }
        if let Some(change) = claim.change {
            self.changes(change);
        }
    }

    fn not_concluded(&mut self, what: &str, why: &str) {
        let line = format!("{what}: not concluded: {why}");
        if !self.finding().not_asked.contains(&line) {
            self.not_asked(line);
        }
    }

    /// Concludes now or, if no right request of `who` has succeeded yet, at the end of the run.
    fn claim(
        &mut self,
        who: &'static str,
        what: &str,
        means: Option<String>,
        change: Option<String>,
    ) {
        let claim = Claim {
            question: self.now,
            who,
            what: what.to_owned(),
            means,
            change,
        };
        match self.proven.contains(who) {
            true => self.conclude(claim),
            false => self.claims.push(claim),
        }
    }

    /// True if the answer, to a request that breaks `rule`, says something; else it is noted why it does not.
    fn speaks(&mut self, rule: &str, what: &str, answer: &Answer) -> bool {
        match answer.says_nothing(rule) {
            Some(_) if self.table.is_as_it_stands(rule, answer) => true,
            Some(why) => {
                self.not_concluded(what, &why);
                false
            }
            None => true,
        }
    }

    fn finished(self, service: String, record: Result<String, String>) -> Findings {
        let wire = self.wire;
        let masked = |lines: &mut Vec<String>| {
            for line in lines {
                *line = wire.masked(line);
            }
        };
        let mut all = self.findings;
        for finding in &mut all {
            finding.requests = wire.sent(finding.number);
            masked(&mut finding.means);
            masked(&mut finding.changes);
            masked(&mut finding.not_asked);
            for seen in &mut finding.seen {
                let text = wire.masked(&seen.to_string());
                *seen = serde_json::from_str(&text).unwrap_or_default();
            }
        }
        Findings {
            service,
            apps: self.apps.iter().map(|app| app.kind.name()).collect(),
            all,
            ended: wire.ended.as_deref().map(|why| wire.masked(why)),
            record,
        }
    }

    fn finding(&mut self) -> &mut Finding {
        let at = usize::from(self.now).saturating_sub(1);
        &mut self.findings[at]
    }

    fn not_asked(&mut self, why: impl Into<String>) {
        let why = why.into();
        self.finding().not_asked.push(why);
    }

    fn means(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.finding().means.push(what);
    }

    fn changes(&mut self, what: impl Into<String>) {
        let what = what.into();
        let changes = &mut self.finding().changes;
        if !changes.contains(&what) {
            changes.push(what);
        }
    }

    fn seen(&mut self, what: &str, answer: &Answer) {
        let mut seen = answer.told();
        seen["what"] = what.into();
        let line = self.wire.masked(&report::line(&seen));
        self.person.hears(&format!("  seen:   {line}"));
        self.finding().seen.push(seen);
    }

    fn saw(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.finding().seen.push(json!({ "what": what }));
    }

    /// Asks before a step. False if it is left out, which is noted under the name `part`.
    fn step(&mut self, part: &str, requests: u32, sends: &str, spends: &str) -> Result<bool, Halt> {
        if self.wire.ended.is_some() {
            self.not_asked(format!("{part}: the run had ended"));
            return Err(Halt::Run);
        }
        let question = &QUESTIONS[usize::from(self.now).saturating_sub(1)];
        let step = Step {
            question: (question.number, question.text),
            requests,
            sends: sends.to_owned(),
            spends: spends.to_owned(),
        };
        match self.person.says(&step) {
            Reply::Yes => Ok(true),
            Reply::Skip => {
                self.not_asked(format!("{part}: left out by who was asked"));
                Ok(false)
            }
            Reply::End => {
                self.not_asked(format!("{part}: the run was ended by who was asked"));
                Err(self.wire.end(BY_WHO_WAS_ASKED))
            }
        }
    }

    fn send(&mut self, request: Sent<'_>) -> Result<Answer, Halt> {
        if self.person.has_ended() {
            return Err(self.wire.end(BY_WHO_WAS_ASKED));
        }
        let answer = self.wire.send(self.now, request);
        if let Some(cause) = self.wire.cause.take() {
            let cause = self.wire.masked(&cause);
            self.person.hears(&format!("  {cause}"));
        }
        let answer = answer?;
        if let Some(date) = answer.date {
            self.ahead = Some(self.seconds() - date);
        }
        Ok(answer)
    }

    /// This machine's time.
    fn seconds(&self) -> i64 {
        i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX)
    }

    /// Sends a request that breaks a rule of the mock, and notes what the answer means for it. `who` is whose right request has to
    /// succeed in this run.
    fn probe(
        &mut self,
        rule: &str,
        what: &str,
        request: Sent<'_>,
        who: &'static str,
    ) -> Result<Answer, Halt> {
        let answer = self.send(request)?;
        self.compare(rule, what, &answer, who);
        Ok(answer)
    }

    fn compare(&mut self, rule: &str, what: &str, answer: &Answer, who: &'static str) {
        self.seen(what, answer);
        if !self.speaks(rule, what, answer) {
            return;
        }
        let told = match (answer.granted() || answer.is_redirect, &answer.code) {
            (true, _) => format!("{what} is accepted"),
            (false, Some(code)) => {
                format!(
                    "{what} is refused with {} {}",
                    answer.status,
                    words::code(code)
                )
            }
            (false, None) => format!(
                "{what} is refused with {} and without a code",
                answer.status
            ),
        };
        let change = self.table.change(rule, answer);
        self.claim(who, what, Some(told), change);
    }

    /// The same for a page, which has no code. The control is a right request, which was answered with a redirect.
    fn compare_page(&mut self, rule: &str, what: &str, answer: &Answer) {
        self.seen(what, answer);
        let status = answer.status;
        match answer.is_redirect {
            // The page behind it may refuse it all the same.
            true => self.means(format!("{what} is not refused at once")),
            false if !(400..500).contains(&status) || status == 429 => self.not_concluded(
                what,
                &format!("{status} is not a refusal; run it again later"),
            ),
            false => {
                self.means(format!("{what} is refused with a page and {status}"));
                if let Some(change) = self.table.change_of_page(rule, answer) {
                    self.changes(change);
                }
            }
        }
    }

    fn wait(&mut self, pause: Duration, why: &str) {
        if !pause.is_zero() {
            self.person.waits(&self.clock, pause, why);
        }
    }

    /// The position of the first app of these kinds; else it is noted that `part` was not asked.
    fn app(&mut self, kinds: &[Kind], part: &str) -> Option<usize> {
        let found = self.apps.iter().position(|app| kinds.contains(&app.kind));
        if found.is_none() {
            let names: Vec<_> = kinds.iter().map(|kind| kind.told()).collect();
            let why = format!("{part}: needs a {} app", names.join(" or a "));
            self.not_asked(why);
        }
        found
    }

    /// Notes the tokens of an answer.
    fn keep(&mut self, flow: &'static str, kind: Kind, answer: &Answer) -> Option<Grant> {
        let access = answer.text("access_token").filter(|_| answer.granted())?;
        self.proven.insert(kind.told());
        // The service's own clock, since this machine's may be wrong.
        let now = answer.date.unwrap_or_else(|| self.seconds());
        self.issued.push(Issued {
            flow,
            token_type: answer.text("token_type"),
            seconds: answer.body["expires_in"].as_i64().map(|at| at - now),
            is_timed: answer.date.is_some(),
            has_refresh: answer.text("refresh_token").is_some(),
        });
        let grant = Grant {
            access,
            refresh: answer.text("refresh_token"),
        };
        match kind {
            Kind::Jwt => self.service_token = Some(grant.access.clone()),
            _ => drop(self.grants.insert(kind, grant.clone())),
        }
        Some(grant)
    }
}
