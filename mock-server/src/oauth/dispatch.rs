//! Dispatches a request to its endpoint, and records it.

use http::StatusCode;

use super::context::{Context, Decider};
use super::recorder::{InFlight, Recorded, begin, method, write};
use super::{authorize, device_authorization, token, users_me};
use crate::html::error_page;
use crate::journal::draft::Draft;
use crate::journal::entry::Interference;
use crate::protocol::endpoint::{Endpoint, JwtPath};
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Incoming;
use crate::protocol::response::{self, Answer, Reply};
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::State;

/// Answers `request` and records it in the journal. `decider`, if any, decides about an authorize request.
pub(crate) fn serve(state: &mut State, request: &Incoming, decider: Option<Decider>) -> Reply {
    let in_flight = begin(state);
    answer(state, request, decider, in_flight, Interference::default())
}

pub(crate) fn answer(
    state: &mut State,
    request: &Incoming,
    decider: Option<Decider>,
    in_flight: InFlight,
    interference: Interference,
) -> Reply {
    let endpoint = Endpoint::of(&request.path);
    let mut ctx = Context {
        state,
        request,
        now_ms: in_flight.at_ms,
        seq: in_flight.seq,
        logid: &in_flight.logid,
        endpoint,
        decider,
        draft: Draft::default(),
    };
    let result = handle(endpoint, &mut ctx);
    let draft = ctx.draft;

    let (mut reply, error, refusal) = match result {
        Ok(answer) => (response::success(answer), None, None),
        Err(refusal) => {
            let rules = &state.settings.rules;
            let (status, error, body) = response::refusal_body(&refusal, rules, &in_flight.logid);
            let reply = match endpoint {
                Endpoint::Authorize { .. } => error_page::refused(
                    &request.headers,
                    status,
                    &error,
                    &refusal,
                    &in_flight.logid,
                ),
                _ => response::json_reply(status, body.to_string()),
            };
            (reply, Some(error), Some(refusal))
        }
    };
    let rule = refusal.as_ref().map(|refusal| refusal.rule);
    response::stamp(&mut reply, &in_flight.logid, rule);
    if reply.status() == StatusCode::METHOD_NOT_ALLOWED {
        response::allow(&mut reply, endpoint.method());
    }
    let status = reply.status().as_u16();
    let recorded = Recorded {
        status,
        error,
        refusal,
        judged: true,
        waits: false,
    };
    write(
        state,
        request,
        endpoint,
        in_flight,
        draft,
        recorded,
        interference,
    );
    reply
}

/// Checks the id in a JWT path. Any id is accepted unless the settings list some.
fn listed(path: JwtPath<'_>, ctx: &mut Context<'_>) -> Result<(), Refusal> {
    let settings = &ctx.state.settings;
    let (what, id, listed) = match path {
        JwtPath::Account(id) => ("accounts", id, &settings.accounts),
        JwtPath::Enterprise(id) => ("enterprises", id, &settings.enterprises),
    };
    let known = listed.is_empty() || listed.iter().any(|known| known == id);
    let expected = format!("one of the {what} {}", listed.join(", "));
    ctx.require(Rule::PathKnown, known, || (expected, redact::scrub(id)))
}

fn handle(endpoint: Endpoint<'_>, ctx: &mut Context<'_>) -> Result<Answer, Refusal> {
    let request = ctx.request;
    ctx.require(Rule::PathKnown, endpoint != Endpoint::Unknown, || {
        ("a path that Coze serves", redact::scrub(&request.path))
    })?;
    ctx.require(
        Rule::PathMethod,
        request.method.as_str() == endpoint.method(),
        || (endpoint.method(), method(request)),
    )?;
    if let Endpoint::Token { only: Some(path) } = endpoint {
        listed(path, ctx)?;
    }
    if let Endpoint::Authorize { workspace } | Endpoint::DeviceCode { workspace } = endpoint {
        Refusal::limit_length("workspace_id", workspace.unwrap_or(""))?;
    }
    match endpoint {
        Endpoint::Authorize { workspace } => authorize::authorize(ctx, workspace),
        Endpoint::Token { only } => token::token(ctx, only.is_some()),
        Endpoint::DeviceCode { workspace } => device_authorization::start(ctx, workspace),
        Endpoint::UsersMe | Endpoint::Unknown => users_me::users_me(ctx),
    }
}
