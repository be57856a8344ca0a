//! From a request to the endpoint that answers it.

use http::StatusCode;

use super::context::{Call, Decider};
use super::recorder::{Begun, Written, begin, method, write};
use super::{authorize, device_authorization, token, users_me};
use crate::html::error_page;
use crate::journal::draft::Note;
use crate::journal::entry::Marks;
use crate::protocol::endpoint::{Endpoint, JwtPath};
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Incoming;
use crate::protocol::response;
use crate::protocol::response::{Answer, Reply};
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::World;

/// Answers `request` and writes it down. `decider` decides about an authorize request, if there is one.
pub(crate) fn serve(world: &mut World, request: &Incoming, decider: Option<Decider>) -> Reply {
    let begun = begin(world);
    answer(world, request, decider, begun, Marks::default())
}

pub(crate) fn answer(
    world: &mut World,
    request: &Incoming,
    decider: Option<Decider>,
    begun: Begun,
    marks: Marks,
) -> Reply {
    let endpoint = Endpoint::of(&request.path);
    let mut call = Call {
        world,
        request,
        now_ms: begun.at_ms,
        seq: begun.seq,
        logid: &begun.logid,
        endpoint,
        decider,
        note: Note::default(),
    };
    let result = handle(endpoint, &mut call);
    let note = call.note;

    let (mut reply, error, refusal) = match result {
        Ok(answer) => (response::success(answer), None, None),
        Err(refusal) => {
            let rules = &world.settings.rules;
            let (status, error, body) = response::refusal_body(&refusal, rules, &begun.logid);
            let reply = match endpoint {
                Endpoint::Authorize { .. } => {
                    error_page::refused(&request.headers, status, &error, &refusal, &begun.logid)
                }
                _ => response::json_reply(status, body.to_string()),
            };
            (reply, Some(error), Some(refusal))
        }
    };
    let rule = refusal.as_ref().map(|refusal| refusal.rule);
    response::stamp(&mut reply, &begun.logid, rule);
    if reply.status() == StatusCode::METHOD_NOT_ALLOWED {
        response::allow(&mut reply, endpoint.method());
    }
    let status = reply.status().as_u16();
    let written = Written {
        status,
        error,
        refusal,
        judged: true,
        waits: false,
    };
    write(world, request, endpoint, begun, note, written, marks);
    reply
}

/// Any id is one of an account, unless the settings list them.
fn listed(path: JwtPath<'_>, call: &mut Call<'_>) -> Result<(), Refusal> {
    let settings = &call.world.settings;
    let (what, id, listed) = match path {
        JwtPath::Account(id) => ("accounts", id, &settings.accounts),
        JwtPath::Enterprise(id) => ("enterprises", id, &settings.enterprises),
    };
    let known = listed.is_empty() || listed.iter().any(|known| known == id);
    let expected = format!("one of the {what} {}", listed.join(", "));
    call.require(Rule::PathKnown, known, || (expected, redact::scrub(id)))
}

fn handle(endpoint: Endpoint<'_>, call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let request = call.request;
    call.require(Rule::PathKnown, endpoint != Endpoint::Unknown, || {
        ("a path that Coze serves", redact::scrub(&request.path))
    })?;
    call.require(
        Rule::PathMethod,
        request.method.as_str() == endpoint.method(),
        || (endpoint.method(), method(request)),
    )?;
    if let Endpoint::Token { only: Some(path) } = endpoint {
        listed(path, call)?;
    }
    if let Endpoint::Authorize { workspace } | Endpoint::DeviceCode { workspace } = endpoint {
        Refusal::limit_length("workspace_id", workspace.unwrap_or(""))?;
    }
    match endpoint {
        Endpoint::Authorize { workspace } => authorize::authorize(call, workspace),
        Endpoint::Token { only } => token::token(call, only.is_some()),
        Endpoint::DeviceCode { workspace } => device_authorization::start(call, workspace),
        Endpoint::UsersMe | Endpoint::Unknown => users_me::users_me(call),
    }
}
