//! One request to the data plane: what is known about it so far, and what the rules ask of it.

use std::sync::Arc;

use http::header::CONTENT_TYPE;

use crate::journal::draft::Draft;
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

/// What the rules know of a request while it is answered. It holds the lock of its world.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) request: &'a Incoming,
    pub(crate) now_ms: u64,
    pub(crate) seq: u64,
    pub(crate) logid: &'a str,
    pub(crate) endpoint: Endpoint<'a>,
    /// The caller of the control plane, who decides instead of whom the settings name.
    pub(crate) decider: Option<Decider>,
    pub(crate) draft: Draft,
}

impl<'a> Context<'a> {
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
        if !self.state.settings.rules.is_on(rule) {
            if rule.text().default {
                self.draft.relaxed.push(rule.id());
            }
            return Ok(());
        }
        let (expected, came) = why();
        Err(Refusal {
            rule,
            detail: String::new(),
            expected: expected.into(),
            actual: came.into(),
        })
    }

    pub(crate) fn json_body(&mut self) -> Result<JsonObject<'a>, Refusal> {
        let request = self.request;
        let expected = "one JSON object, sent as application/json";
        let refuse = |rule, expected: &str, came: String| Refusal {
            rule,
            detail: String::new(),
            expected: expected.to_owned(),
            actual: came,
        };
        let body = match &request.body {
            Body::Whole(body) => body,
            Body::TooLong => {
                let expected = format!("at most {MAX_BODY} bytes");
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
        let members: JsonObject<'a> = serde_json::from_slice(body).map_err(|error| {
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
        self.draft.json = Some(json::members(members.iter()));
        self.draft.leaks = leak_scanner::of_members(self.state, self.endpoint, members.iter());
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
        self.draft.client = Some(redact::scrub(client_id));
        let index = self.state.app_named(client_id);
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

impl Context<'_> {
    /// The digest of the one token or code that the request presents.
    pub(crate) fn key(&self, secret: &str) -> Digest {
        self.draft.presented.unwrap_or_else(|| digest(secret))
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark::new(self.now_ms, self.seq)
    }

    /// Of what is given in this request for `secret`.
    pub(crate) fn origin(&self, secret: Option<&Digest>) -> Origin {
        Origin::new(secret, self.mark())
    }

    /// Notes the tokens that this request gets.
    pub(crate) fn hand_out(&mut self, tokens: &TokenAnswer) -> Answer {
        let refresh = tokens.refresh_key.as_ref().map(fingerprint_of);
        self.draft.issued = Some((fingerprint_of(&tokens.access_key), refresh));
        Answer::json(tokens)
    }
}
