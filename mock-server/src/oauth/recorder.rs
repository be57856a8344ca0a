//! Writes each request to the data plane into the journal.

use std::borrow::Cow;
use std::time::Instant;

use http::Method;

use crate::html::error_page;
use crate::intercept::script::ErrorStep;
use crate::journal::counters::Key;
use crate::journal::draft::Note;
use crate::journal::entry::{Marks, Outcome};
use crate::journal::record::Kept;
use crate::protocol::client_id::{client_of, members};
use crate::protocol::digest::print_of;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{Credential, Incoming};
use crate::protocol::response::Reply;
use crate::protocol::rules::Rule;
use crate::protocol::{grant, response};
use crate::redact;
use crate::redact::json;
use crate::state::{World, leak_scanner};

/// A request that has its number and log id.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(super) seq: u64,
    pub(super) at_ms: u64,
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
            error_page::scripted(&request.headers, *status, error, message, &begun.logid)
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
    let note = note(world, request);
    let endpoint = Endpoint::of(&request.path);
    write(world, request, endpoint, begun, note, written, marks);
}

#[derive(Default)]
pub(super) struct Written {
    pub(super) status: u16,
    pub(super) waits: bool,
    pub(super) error: Option<String>,
    pub(super) refusal: Option<Refusal>,
    pub(super) judged: bool,
}

pub(super) fn write(
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

pub(super) fn method(request: &Incoming) -> Cow<'static, str> {
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

/// What the journal says of a request that no rule looked at.
pub(crate) fn note(world: &World, request: &Incoming) -> Note {
    let mut note = Note {
        client: client_of(request).map(|client| redact::scrub(&client)),
        ..Note::default()
    };
    let endpoint = Endpoint::of(&request.path);
    match endpoint {
        Endpoint::Token { .. } | Endpoint::DeviceCode { .. } => {
            let Some(members) = members(request) else {
                return note;
            };
            note.leaks = leak_scanner::of_members(world, endpoint, members.iter());
            note.json = Some(json::members(members.iter()));
            note.grant = grant::grant_of(&request.body);
            let secret = note.grant.and_then(grant::secret_of);
            if let Some(secret) = secret.and_then(|name| members.get(name)?.as_str()) {
                note.presents(secret);
            }
        }
        Endpoint::UsersMe => {
            if let Ok(Credential::Bearer(secret)) = request.credential() {
                note.presents(secret);
            }
        }
        Endpoint::Authorize { .. } | Endpoint::Unknown => {}
    }
    note
}
