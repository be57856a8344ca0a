//! The context of one request to the data plane, with which the rules judge it.

use std::sync::Arc;

use http::header::CONTENT_TYPE;

use crate::journal::draft::{Draft, Issued};
use crate::limits::MAX_BODY;
use crate::protocol::digest::{Digest, digest, fingerprint_of};
use crate::protocol::endpoint::Endpoint;
use crate::protocol::json_body::JsonObject;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{Body, Incoming};
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact::{self, json};
use crate::state::app::Consent;
use crate::state::grants::{AppIndex, TokenAnswer};
use crate::state::provenance::{Mark, Origin};
use crate::state::user::User;
use crate::state::{State, leak_scanner};

/// A user who decides about an authorize request without a browser.
#[derive(Clone, Debug)]
pub(crate) struct Decider {
    pub(crate) user: Arc<User>,
    pub(crate) consent: Consent,
}

/// The context of a request while it is answered. It holds the lock of its world.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) request: &'a Incoming,
    pub(crate) now_ms: u64,
    pub(crate) seq: u64,
    pub(crate) logid: &'a str,
    pub(crate) endpoint: Endpoint<'a>,
    /// The user of a control request, who decides instead of the one in the settings.
    pub(crate) decider: Option<Decider>,
    pub(crate) draft: Draft,
}

impl<'a> Context<'a> {
    /// Refuses by `rule` unless `holds`. `why` returns the expected and the actual value.
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
        if !self.state.settings.rules.is_on(rule) {
            if rule.text().default {
                self.draft.relaxed.push(rule.id());
            }
            return Ok(());
        }
        let (expected, actual) = why();
        Err(Refusal {
            rule,
            detail: String::new(),
            expected: expected.into(),
            actual: actual.into(),
        })
    }

    /// The body, which has to be whole, and its Content-Type in words.
    fn whole_body(&self, rule: Rule, expected: &str) -> Result<(&'a [u8], &'a str), Refusal> {
        let request = self.request;
        let body = match &request.body {
            Body::Whole(body) => body,
            Body::TooLong => {
                let expected = format!("at most {MAX_BODY} bytes");
                return Err(refuse(Rule::BodyLimit, &expected, "more".to_owned()));
            }
            Body::Broken => {
                return Err(refuse(rule, expected, "an incomplete body".to_owned()));
            }
            Body::Late(why) => return Err(refuse(rule, expected, why.clone())),
        };
        let mut types = request.headers.get_all(CONTENT_TYPE).iter();
        let kind = match (types.next(), types.next()) {
            (Some(one), None) => one.to_str().unwrap_or("unreadable"),
            (None, _) => "no Content-Type",
            (Some(_), Some(_)) => "more than one Content-Type",
        };
        Ok((body, kind))
    }

    /// The members of a form. A body of another type is read as JSON, if the rule is off.
    pub(crate) fn form_body(&mut self) -> Result<JsonObject<'a>, Refusal> {
        let expected = "a form, sent as application/x-www-form-urlencoded";
        let (body, kind) = self.whole_body(Rule::WorkloadForm, expected)?;
        let is_form = is_type(kind, "application/x-www-form-urlencoded");
        self.require(Rule::WorkloadForm, is_form, || {
            let actual = format!("{} bytes, {}", body.len(), redact::places::structure(kind));
            (expected, actual)
        })?;
        let read = (!is_form)
            .then(|| serde_json::from_slice(body).ok())
            .flatten();
        self.members(read.unwrap_or_else(|| JsonObject::of_form(body)))
    }

    pub(crate) fn json_body(&mut self) -> Result<JsonObject<'a>, Refusal> {
        let expected = "one JSON object, sent as application/json";
        let (body, kind) = self.whole_body(Rule::BodyJson, expected)?;
        if !is_type(kind, "application/json") {
            let actual = format!("{} bytes, {}", body.len(), redact::places::structure(kind));
            return Err(refuse(Rule::BodyJson, expected, actual));
        }
        let members: JsonObject<'a> = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => "JSON that is not an object",
                _ => "bytes that are not JSON",
            };
            let actual = format!(
                "{} bytes: {what} (line {line}, column {column})",
                body.len()
            );
            refuse(Rule::BodyJson, expected, actual)
        })?;
        self.members(members)
    }

    /// Notes the members of a body, of which none may be there twice.
    fn members(&mut self, members: JsonObject<'a>) -> Result<JsonObject<'a>, Refusal> {
        self.draft.json = Some(json::members(members.iter()));
        self.draft.leaks = leak_scanner::of_members(self.state, self.endpoint, members.iter());
        match members.twice() {
            None => Ok(members),
            Some(name) => Err(Refusal::parameter(
                Rule::ParamOnce,
                json::member_name(name),
                "twice",
            )),
        }
    }

    /// The app with this `client_id`, if it is known, enabled and of one of `kinds`.
    pub(crate) fn client(
        &mut self,
        client_id: &str,
        kinds: &[crate::state::app::AppKind],
    ) -> Result<AppIndex, Refusal> {
        self.draft.client = Some(redact::scrub(client_id));
        let index = self.state.app_named(client_id);
        self.require(Rule::ClientKnown, index.is_some(), || {
            let actual = format!("client_id {}", redact::scrub(client_id));
            ("the client id of an app of this server", actual)
        })?;
        let index = index.unwrap_or_default();
        self.usable(index, kinds)?;
        Ok(index)
    }

    pub(crate) fn usable(
        &mut self,
        index: AppIndex,
        kinds: &[crate::state::app::AppKind],
    ) -> Result<(), Refusal> {
        let app = self.state.app(index);
        let (kind, enabled) = (app.kind, app.enabled);
        self.require(Rule::ClientEnabled, enabled, || {
            ("an active app", "a deactivated one")
        })
        .map_err(|refusal| Refusal {
            detail: self.state.app(index).name.clone(),
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

fn refuse(rule: Rule, expected: &str, actual: String) -> Refusal {
    Refusal {
        rule,
        detail: String::new(),
        expected: expected.to_owned(),
        actual,
    }
}

fn is_type(content_type: &str, essence: &str) -> bool {
    let own = content_type.split(';').next().unwrap_or("").trim();
    own.eq_ignore_ascii_case(essence)
}

impl Context<'_> {
    /// The digest of the token or code that the request presents.
    pub(crate) fn key(&self, secret: &str) -> Digest {
        self.draft.presented.unwrap_or_else(|| digest(secret))
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark::new(self.now_ms, self.seq)
    }

    /// The origin of tokens that this request issues for `secret`.
    pub(crate) fn origin(&self, secret: Option<&Digest>) -> Origin {
        Origin::new(secret, self.mark())
    }

    /// Notes the issued tokens, and makes the answer.
    pub(crate) fn hand_out(&mut self, tokens: &TokenAnswer) -> Answer {
        let refresh = tokens.refresh_key.as_ref().map(fingerprint_of);
        self.draft.issued = Some(Issued {
            access: fingerprint_of(&tokens.access_key),
            refresh,
            expires: Some(tokens.expires_in),
        });
        Answer::Json(tokens.json().into_bytes())
    }
}
