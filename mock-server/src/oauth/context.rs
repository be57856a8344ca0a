//! One request to the data plane: what came, what is known about it so far, and how it is refused.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};

use crate::protocol::endpoint::Endpoint;
use crate::protocol::json_body::Members;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::redact::json;
use crate::state::app::User;
use crate::state::capped_map::Digest;
use crate::state::leak_scanner::Leak;
use crate::state::provenance::Print;
use crate::state::settings::Consent;
use crate::state::{AppIndex, World, leak_scanner};

/// Bytes of a body that are looked at.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// Bytes of a parameter that is kept until a user decides or a code is exchanged.
pub(crate) const PARAMETER_LIMIT: usize = 2_048;

#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Scheme, host and mount point under which the client sees this server.
    pub(crate) base: String,
}

#[derive(Debug)]
pub(crate) enum Body {
    Whole(Bytes),
    TooLong,
    Broken,
}

/// A request broke a rule. What Coze would answer is in the rule's row; the rest is for people.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) rule: Rule,
    /// Fills the `{}` of the rule's message.
    pub(crate) detail: String,
    pub(crate) expected: String,
    pub(crate) came: String,
}

/// What a handler answers when no rule is broken.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(Vec<u8>),
    Redirect(String),
}

impl Answer {
    pub(crate) fn json(value: &impl serde::Serialize) -> Self {
        // Room for two tokens.
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, value).expect("our answers have string keys");
        Self::Json(body)
    }
}

/// What the journal will say about this request.
#[derive(Debug, Default)]
pub(crate) struct Note {
    pub(crate) client: Option<String>,
    pub(crate) grant: Option<&'static str>,
    pub(crate) json: Option<Vec<u8>>,
    pub(crate) jwt: Option<[Vec<u8>; 2]>,
    pub(crate) presented: Option<Digest>,
    pub(crate) issued: Option<(Print, Option<Print>)>,
    pub(crate) leaks: Vec<Leak>,
    /// Rules that would have refused, were they on.
    pub(crate) relaxed: Vec<&'static str>,
}

/// A user who decides about an authorize request without a browser.
#[derive(Clone, Debug)]
pub(crate) struct Decider {
    pub(crate) user: Arc<User>,
    pub(crate) consent: Consent,
}

#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) request: &'a Incoming,
    pub(crate) now_ms: u64,
    pub(crate) seq: u64,
    pub(crate) logid: &'a str,
    pub(crate) endpoint: Endpoint<'a>,
    /// The caller of the control plane, who decides instead of whom the settings name.
    pub(crate) decider: Option<Decider>,
    pub(crate) note: Note,
}

impl<'a> Call<'a> {
    /// Refuses by `rule` unless `holds`. `why` says what was expected and what came.
    pub(crate) fn require<E, C>(
        &mut self,
        rule: Rule,
        holds: bool,
        why: impl FnOnce() -> (E, C),
    ) -> Result<(), Refusal>
    where
        E: Into<String>,
        C: Into<String>,
    {
        if holds {
            return Ok(());
        }
        if !self.world.settings.rules.is_on(rule) {
            if rule.text().default {
                self.note.relaxed.push(rule.id());
            }
            return Ok(());
        }
        let (expected, came) = why();
        Err(Refusal {
            rule,
            detail: String::new(),
            expected: expected.into(),
            came: came.into(),
        })
    }

    pub(crate) fn json_body(&mut self) -> Result<Members<'a>, Refusal> {
        let request = self.request;
        let expected = "one JSON object, sent as application/json";
        let refuse = |rule, expected: &str, came: String| Refusal {
            rule,
            detail: String::new(),
            expected: expected.to_owned(),
            came,
        };
        let body = match &request.body {
            Body::Whole(body) => body,
            Body::TooLong => {
                let expected = format!("at most {BODY_LIMIT} bytes");
                return Err(refuse(Rule::BodyLimit, &expected, "more".to_owned()));
            }
            Body::Broken => {
                let came = "a body that broke off".to_owned();
                return Err(refuse(Rule::BodyJson, expected, came));
            }
        };
        let mut types = request.headers.get_all(CONTENT_TYPE).iter();
        let kind = match (types.next(), types.next()) {
            (Some(one), None) => one.to_str().unwrap_or("unreadable"),
            (None, _) => "no Content-Type",
            (Some(_), Some(_)) => "more than one Content-Type",
        };
        let essence = kind.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let came = format!("{} bytes, {}", body.len(), redact::scrub(kind));
            return Err(refuse(Rule::BodyJson, expected, came));
        }
        let members: Members<'a> = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => "JSON that is no object",
                _ => "bytes that are no JSON",
            };
            let came = format!(
                "{} bytes: {what} (line {line}, column {column})",
                body.len()
            );
            refuse(Rule::BodyJson, expected, came)
        })?;
        self.note.json = Some(json::members(members.iter()));
        self.note.leaks = leak_scanner::of_members(self.world, self.endpoint, members.iter());
        match members.twice() {
            None => Ok(members),
            Some(name) => Err(Refusal::parameter(
                Rule::ParamOnce,
                &redact::scrub(name),
                "twice",
            )),
        }
    }

    /// The app that `client_id` names, if it is there, enabled and of one of `kinds`.
    pub(crate) fn client(
        &mut self,
        client_id: &str,
        kinds: &[crate::state::app::Kind],
    ) -> Result<AppIndex, Refusal> {
        self.note.client = Some(redact::scrub(client_id));
        let index = self.world.app_named(client_id);
        self.require(Rule::ClientKnown, index.is_some(), || {
            let came = format!("client_id {}", redact::scrub(client_id));
            ("the client id of an app of this server", came)
        })?;
        let index = index.unwrap_or_default();
        self.usable(index, kinds)?;
        Ok(index)
    }

    pub(crate) fn usable(
        &mut self,
        index: AppIndex,
        kinds: &[crate::state::app::Kind],
    ) -> Result<(), Refusal> {
        let app = self.world.app(index);
        let (kind, enabled) = (app.kind, app.enabled);
        self.require(Rule::ClientEnabled, enabled, || {
            ("an active app", "a deactivated one")
        })
        .map_err(|refusal| Refusal {
            detail: self.world.app(index).name.clone(),
            ..refusal
        })?;
        self.require(Rule::ClientKind, kinds.contains(&kind), || {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            (
                format!("an app of kind {}", names.join(" or ")),
                format!("an app of kind {}", kind.name()),
            )
        })
    }
}

impl Refusal {
    /// `name` is the parameter, `came` what was found in its place.
    pub(crate) fn parameter(rule: Rule, name: &str, came: &str) -> Self {
        let expected = match rule {
            Rule::ParamOnce => format!("{name} once"),
            Rule::ParamLength => format!("{name} of at most {PARAMETER_LIMIT} bytes"),
            _ => format!("{name}, a string that is not empty"),
        };
        Self {
            rule,
            detail: name.to_owned(),
            expected,
            came: format!("{name}: {came}"),
        }
    }

    /// Refuses a parameter that is too long to be kept.
    pub(crate) fn limit_length(name: &str, value: &str) -> Result<(), Self> {
        if value.len() <= PARAMETER_LIMIT {
            return Ok(());
        }
        let came = format!("{} bytes", value.len());
        Err(Self::parameter(Rule::ParamLength, name, &came))
    }

    pub(crate) fn message(&self) -> String {
        self.rule.text().message.replace("{}", &self.detail)
    }
}

/// The credential of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    Bearer(&'a str),
    /// No header, or `Bearer` with nothing behind it, which coze-js and coze-go send for public
    /// clients (protocol §2.3).
    None,
    /// Another scheme, or bytes that are no text.
    Other,
}

impl Credential<'_> {
    /// For `came`: what was in its place when a Bearer credential was expected.
    pub(crate) fn describe(&self, header: bool) -> &'static str {
        match self {
            Self::Bearer(_) => "a Bearer credential",
            Self::None if header => "a Bearer without credential",
            Self::None => "no Authorization header",
            Self::Other => "an Authorization header that is no Bearer credential",
        }
    }
}

impl Incoming {
    /// Host and port under which the client sees this server.
    pub(crate) fn host(&self) -> &str {
        let rest = self.base.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    pub(crate) fn has_authorization(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }

    pub(crate) fn credential(&self) -> Result<Credential<'_>, Refusal> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(Credential::None);
        };
        if values.next().is_some() {
            return Err(Refusal::parameter(
                Rule::ParamOnce,
                "Authorization",
                "twice",
            ));
        }
        let Ok(value) = value.to_str() else {
            return Ok(Credential::Other);
        };
        let (scheme, credential) = value
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| (value.trim(), ""));
        Ok(
            match (scheme.eq_ignore_ascii_case("bearer"), credential.trim()) {
                (true, "") => Credential::None,
                (true, credential) => Credential::Bearer(credential),
                (false, _) if scheme.is_empty() => Credential::None,
                (false, _) => Credential::Other,
            },
        )
    }
}
