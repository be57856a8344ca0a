//! Dispatches a request to its endpoint, and records it.

use http::StatusCode;

use super::context::{Context, Decider};
use super::recorder::{self, InFlight, Recorded, begin, path, write};
use super::{
    access_token, authorize, device_authorization, outbound, token, users_me, workload, workspaces,
};
use crate::html::error_page;
use crate::journal::draft::Draft;
use crate::journal::entry::Interference;
use crate::protocol::api::Called;
use crate::protocol::coze_api;
use crate::protocol::endpoint::{Endpoint, JwtPath};
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Incoming;
use crate::protocol::response::{self, Answer, Reply};
use crate::protocol::rules::Rule;
use crate::redact::places;
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
    let endpoint = request.endpoint();
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
            let (status, error, body) =
                response::refusal_body(endpoint, &refusal, rules, &in_flight.logid);
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
        response::allow(&mut reply, request.methods());
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
fn listed(named: JwtPath<'_>, ctx: &mut Context<'_>) -> Result<(), Refusal> {
    let settings = &ctx.state.settings;
    let (what, id, listed) = match named {
        JwtPath::Account(id) => ("accounts", id, &settings.accounts),
        JwtPath::Enterprise(id) => ("enterprises", id, &settings.enterprises),
    };
    let known = listed.is_empty() || listed.iter().any(|known| known == id);
    let expected = format!("one of the {what} {}", listed.join(", "));
    ctx.require(Rule::PathKnown, known, || (expected, places::segment(id)))
}

fn handle(endpoint: Endpoint<'_>, ctx: &mut Context<'_>) -> Result<Answer, Refusal> {
    if endpoint.takes_token() {
        return api(endpoint, ctx);
    }
    let request = ctx.request;
    known(endpoint != Endpoint::Unknown, ctx)?;
    method_of(request.method.as_str() == endpoint.method(), ctx)?;
    if let Endpoint::Token { only: Some(named) } = endpoint {
        listed(named, ctx)?;
    }
    if let Endpoint::Authorize { workspace } | Endpoint::DeviceCode { workspace } = endpoint {
        Refusal::limit_length("workspace_id", workspace.unwrap_or(""))?;
    }
    match endpoint {
        Endpoint::Authorize { workspace } => authorize::authorize(ctx, workspace),
        Endpoint::Token { only } => token::token(ctx, only.is_some()),
        Endpoint::DeviceCode { workspace } => device_authorization::start(ctx, workspace),
        Endpoint::WorkloadToken { only } => workload::token(ctx, only),
        Endpoint::Integration
        | Endpoint::ProjectEnv
        | Endpoint::UsersMe
        | Endpoint::Workspaces
        | Endpoint::Api
        | Endpoint::Unknown => Err(not_here(request)),
    }
}

/// Answers at a path of the API, where the token is looked at before the path is (protocol §10.2).
fn api(endpoint: Endpoint<'_>, ctx: &mut Context<'_>) -> Result<Answer, Refusal> {
    let request = ctx.request;
    if endpoint != Endpoint::Api {
        method_of(request.method.as_str() == endpoint.method(), ctx)?;
    }
    if let Endpoint::Integration | Endpoint::ProjectEnv = endpoint {
        return outbound::answer(endpoint, ctx);
    }
    let token = access_token::check(ctx)?;
    if endpoint == Endpoint::Api {
        recorder::note_members(ctx.state, request, &mut ctx.draft);
        return match &request.call {
            Some(Called::Answer(api)) => Ok(Answer::Own(api.clone())),
            Some(Called::OtherMethods(_)) => {
                method_of(false, ctx)?;
                Err(not_here(request))
            }
            None => {
                known(coze_api::part_of(&request.path).is_some(), ctx)?;
                Err(not_here(request))
            }
        };
    }
    match endpoint {
        Endpoint::Workspaces => workspaces::workspaces(ctx, &token.user),
        _ => Ok(users_me::users_me(ctx, &token.user)),
    }
}

/// Refuses a path of Coze's API that the mock does not have.
fn not_here(request: &Incoming) -> Refusal {
    let part = coze_api::part_of(&request.path);
    let source = part.map_or("", |part| &part.reference);
    Refusal {
        rule: Rule::PathApi,
        detail: String::new(),
        expected: "a path of Coze's API that the mock answers: /v1/users/me, /v1/workspaces, or one of an [[api]]".to_owned(),
        actual: format!(
            "{} {}, which is Coze's ({source}) and which the mock does not have",
            places::method(&request.method),
            path(request)
        ),
    }
}

fn known(is_known: bool, ctx: &mut Context<'_>) -> Result<(), Refusal> {
    let request = ctx.request;
    ctx.require(Rule::PathKnown, is_known, || {
        ("a path that Coze serves", path(request))
    })
}

fn method_of(is_right: bool, ctx: &mut Context<'_>) -> Result<(), Refusal> {
    let request = ctx.request;
    ctx.require(Rule::PathMethod, is_right, || {
        (
            request.methods().to_owned(),
            places::method(&request.method),
        )
    })
}
