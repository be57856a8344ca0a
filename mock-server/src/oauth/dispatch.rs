//! From a request to its answer and its line in the journal.

use std::borrow::Cow;
use std::time::Instant;

use http::{Method, StatusCode};

use super::context::{Answer, Call, Decider, Incoming, Note, Refusal};
use super::{authorize, device_code, token, users_me};
use crate::control::metrics::Key;
use crate::html::page;
use crate::intercept::script::ErrorStep;
use crate::journal::record::Kept;
use crate::journal::{Marks, Outcome};
use crate::protocol::endpoint::{Endpoint, JwtPath};
use crate::protocol::response::Reply;
use crate::protocol::rules::Rule;
use crate::protocol::{client_id, response};
use crate::redact;
use crate::state::provenance::print_of;
use crate::state::{World, leak_scanner};

/// A request that has its number and log id.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    seq: u64,
    at_ms: u64,
    pub(crate) logid: String,
    started: Instant,
}

pub(crate) fn begin(world: &mut World) -> Begun {
    let at_ms = world.settings.clock.unix_ms();
    let (seq, logid) = world.journal.begin(at_ms);
    Begun {
        seq,
        at_ms,
        logid,
        started: Instant::now(),
    }
}

impl Begun {
    /// After it has waited.
    pub(crate) fn at(self, at_ms: u64) -> Self {
        Self { at_ms, ..self }
    }
}

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
                    page::refused(&request.headers, status, &error, &refusal, &begun.logid)
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

/// Answers with the error of a script, and writes it down; no rule looks at the request.
pub(crate) fn scripted(
    world: &mut World,
    request: &Incoming,
    step: &ErrorStep,
    script: String,
) -> Reply {
    let begun = begin(world);
    let ErrorStep {
        error,
        status,
        message,
    } = step;
    let mut reply = match Endpoint::of(&request.path) {
        Endpoint::Authorize { .. } => {
            page::scripted(&request.headers, *status, error, message, &begun.logid)
        }
        _ => {
            let body = response::error_body(error, message, &begun.logid);
            response::json_reply(*status, body.to_string())
        }
    };
    response::stamp(&mut reply, &begun.logid, None);
    let written = Written {
        status: status.as_u16(),
        error: Some(error.clone()),
        ..Written::default()
    };
    let marks = Marks {
        fault: None,
        script: Some(script),
    };
    write_unjudged(world, request, begun, written, marks);
    reply
}

/// Writes down a request at which no rule looked. `status`: none yet if it waits, 0 if none is ever sent.
pub(crate) fn record(
    world: &mut World,
    request: &Incoming,
    begun: Begun,
    status: Option<u16>,
    marks: Marks,
) {
    let written = Written {
        status: status.unwrap_or_default(),
        waits: status.is_none(),
        ..Written::default()
    };
    write_unjudged(world, request, begun, written, marks);
}

/// No rule has looked at the request, so what it says of itself is read here.
fn write_unjudged(
    world: &mut World,
    request: &Incoming,
    begun: Begun,
    written: Written,
    marks: Marks,
) {
    let note = client_id::note(world, request);
    let endpoint = Endpoint::of(&request.path);
    write(world, request, endpoint, begun, note, written, marks);
}

#[derive(Default)]
struct Written {
    status: u16,
    waits: bool,
    error: Option<String>,
    refusal: Option<Refusal>,
    judged: bool,
}

fn write(
    world: &mut World,
    request: &Incoming,
    endpoint: Endpoint<'_>,
    begun: Begun,
    mut note: Note,
    written: Written,
    marks: Marks,
) {
    let rule = written.refusal.as_ref().map(|refusal| refusal.rule);
    log(request, written.status, rule, marks.fault, &begun.logid);
    // One that waited was searched when it came.
    match world.journal.numbered(begun.seq) {
        Some(waited) => note.leaks = waited.leaks.clone(),
        None => {
            leak_scanner::of_request(world, endpoint, request, &mut note);
            world.leaks.note(&mut note.leaks, &begun.logid);
        }
    }
    let entry = Kept {
        seq: begun.seq,
        at_ms: begun.at_ms,
        endpoint: endpoint.name(),
        method: method(request),
        head: redact::head(&request.path, request.query.as_deref(), &request.headers),
        json: note.json,
        jwt: note.jwt,
        client: note.client,
        grant: note.grant,
        presented: note.presented.as_ref().map(print_of),
        issued: note.issued,
        leaks: note.leaks,
        outcome: Outcome {
            status: written.status,
            error: written.error,
            rule: rule.map(Rule::id),
            relaxed: note.relaxed,
            logid: begun.logid,
        },
        elapsed_us: u64::try_from(begun.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        fault: marks.fault,
        script: marks.script,
        refusal: written.refusal.map(Box::new),
        judged: written.judged,
        taken: false,
    };
    if !written.waits {
        world.counts.count(Key::of(&entry));
    }
    world.journal.push(entry);
}

/// A fault acts on the answer that was written down last.
pub(crate) fn spoil_newest(world: &mut World, status: u16, marks: Marks) {
    let Some(entry) = world.journal.newest_mut() else {
        return;
    };
    world.counts.undo(Key::of(entry));
    entry.outcome.status = status;
    entry.fault = marks.fault;
    entry.script = marks.script;
    world.counts.count(Key::of(entry));
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

fn method(request: &Incoming) -> Cow<'static, str> {
    match request.method {
        Method::GET => Cow::Borrowed("GET"),
        Method::POST => Cow::Borrowed("POST"),
        ref other => Cow::Owned(redact::scrub(other.as_str())),
    }
}

/// One line per request; the query stays out, it holds states and challenges.
fn log(request: &Incoming, status: u16, rule: Option<Rule>, fault: Option<&str>, logid: &str) {
    tracing::info!(
        method = &*method(request),
        path = redact::scrub(&request.path),
        status,
        rule = rule.map(Rule::id),
        fault,
        logid,
    );
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
        Endpoint::DeviceCode { workspace } => device_code::start(call, workspace),
        Endpoint::UsersMe | Endpoint::Unknown => users_me::users_me(call),
    }
}
