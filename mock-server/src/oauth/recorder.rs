//! Records each request to the data plane in the journal.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;

use crate::html::error_page;
use crate::intercept::script::ErrorStep;
use crate::journal::counters::Key;
use crate::journal::draft::Draft;
use crate::journal::entry::{Interference, Outcome};
use crate::journal::record::Record;
use crate::protocol::api::Called;
use crate::protocol::client_id::{client_of, members};
use crate::protocol::digest::fingerprint_of;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{Credential, Incoming};
use crate::protocol::response::Reply;
use crate::protocol::rules::Rule;
use crate::protocol::{grant, response};
use crate::redact::{self, json, places};
use crate::state::{State, leak_scanner};

/// A request that has its number and log id.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(super) seq: u64,
    pub(super) at_ms: u64,
    pub(crate) logid: String,
    started: Instant,
}

pub(crate) fn begin(state: &mut State) -> InFlight {
    let at_ms = state.now_ms();
    let (seq, logid) = state.journal.begin(at_ms);
    InFlight {
        seq,
        at_ms,
        logid,
        started: Instant::now(),
    }
}

impl InFlight {
    /// The same request at a later time, after it has waited.
    pub(crate) fn at(self, at_ms: u64) -> Self {
        Self { at_ms, ..self }
    }
}

/// Answers with the error of a script, and records the request without judging it by the rules.
pub(crate) fn scripted(
    state: &mut State,
    request: &Incoming,
    step: &ErrorStep,
    script: String,
) -> Reply {
    let in_flight = begin(state);
    let ErrorStep {
        error,
        status,
        message,
    } = step;
    let mut reply = match request.endpoint() {
        Endpoint::Authorize { .. } => {
            error_page::scripted(&request.headers, *status, error, message, &in_flight.logid)
        }
        _ => {
            let body = response::error_body(request.endpoint(), error, message, &in_flight.logid);
            response::json_reply(*status, body.to_string())
        }
    };
    response::stamp(&mut reply, &in_flight.logid, None);
    let recorded = Recorded {
        status: status.as_u16(),
        error: Some(error.clone()),
        ..Recorded::default()
    };
    let interference = Interference {
        fault: None,
        script: Some(script),
        change: None,
    };
    write_unjudged(state, request, in_flight, recorded, interference);
    reply
}

/// Records a request that no rule has judged. `status` is none if the request still waits, and 0 if no status is sent.
pub(crate) fn record(
    state: &mut State,
    request: &Incoming,
    in_flight: InFlight,
    status: Option<u16>,
    interference: Interference,
) {
    let recorded = Recorded {
        status: status.unwrap_or_default(),
        waits: status.is_none(),
        ..Recorded::default()
    };
    write_unjudged(state, request, in_flight, recorded, interference);
}

/// Records a request that no rule has judged; its draft is made here.
fn write_unjudged(
    state: &mut State,
    request: &Incoming,
    in_flight: InFlight,
    recorded: Recorded,
    interference: Interference,
) {
    let draft = draft(state, request);
    let endpoint = request.endpoint();
    write(
        state,
        request,
        endpoint,
        in_flight,
        draft,
        recorded,
        interference,
    );
}

#[derive(Default)]
pub(super) struct Recorded {
    pub(super) status: u16,
    pub(super) waits: bool,
    pub(super) error: Option<String>,
    pub(super) refusal: Option<Refusal>,
    pub(super) judged: bool,
}

pub(super) fn write(
    state: &mut State,
    request: &Incoming,
    endpoint: Endpoint<'_>,
    in_flight: InFlight,
    mut draft: Draft,
    recorded: Recorded,
    interference: Interference,
) {
    let rule = recorded.refusal.as_ref().map(|refusal| refusal.rule);
    let world = state.journal.log_ids.world();
    match recorded.waits {
        true => log_waiting(request, world, interference.fault, in_flight.seq),
        false => log(
            request,
            world,
            recorded.status,
            rule,
            interference.fault,
            &in_flight.logid,
        ),
    }
    // A request that waited was searched for leaks when it arrived.
    match state.journal.numbered(in_flight.seq) {
        Some(waited) => draft.leaks = waited.leaks.clone(),
        None => {
            leak_scanner::of_request(state, endpoint, request, &mut draft);
            state.leaks.note(&mut draft.leaks, &in_flight.logid);
        }
    }
    let head = redact::head(
        &request.path,
        own_path(request),
        request.query.as_deref(),
        &request.headers,
    );
    let entry = Record {
        seq: in_flight.seq,
        at_ms: in_flight.at_ms,
        endpoint: endpoint.name(),
        method: places::method(&request.method),
        head: kept(head.into_bytes()),
        json: draft.json.map(kept),
        jwt: draft.jwt.map(|parts| parts.map(kept)),
        client: draft.client,
        grant: draft.grant,
        presented: draft.presented.as_ref().map(fingerprint_of),
        issued: draft.issued,
        leaks: draft.leaks,
        outcome: Outcome {
            status: recorded.status,
            error: recorded.error,
            rule: rule.map(Rule::id),
            relaxed: draft.relaxed,
            logid: in_flight.logid,
        },
        elapsed_us: u64::try_from(in_flight.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        fault: interference.fault,
        details: interference.details(),
        refusal: recorded.refusal.map(Box::new),
        judged: recorded.judged,
        taken: false,
    };
    if !recorded.waits {
        state.counts.count(Key::of(&entry));
    }
    state.journal.push(entry);
}

/// Without the room that was left in it.
fn kept(text: Vec<u8>) -> Bytes {
    text.into_boxed_slice().into()
}

/// Amends the newest entry, after a fault has changed its answer.
pub(crate) fn amend_newest(state: &mut State, status: u16, interference: Interference) {
    let State {
        journal, counts, ..
    } = state;
    journal.amend_newest(|entry| {
        counts.undo(Key::of(entry));
        entry.outcome.status = status;
        entry.fault = interference.fault;
        entry.details = interference.details();
        counts.count(Key::of(entry));
    });
}

/// The path of the API call of the user's own that the request fits.
fn own_path(request: &Incoming) -> Option<&str> {
    match &request.call {
        Some(Called::Answer(api)) => Some(&api.path),
        _ => None,
    }
}

/// The path of the request, redacted.
pub(super) fn path(request: &Incoming) -> Cow<'_, str> {
    places::path(&request.path, own_path(request))
}

/// Logs one line per request, without its query, which holds states and challenges.
fn log(
    request: &Incoming,
    world: Option<&str>,
    status: u16,
    rule: Option<Rule>,
    fault: Option<&str>,
    logid: &str,
) {
    tracing::info!(
        world,
        method = places::method(&request.method),
        path = &*path(request),
        status,
        rule = rule.map(Rule::id),
        fault,
        logid,
    );
}

/// Logs a request that waits. The log id is on the line of its answer, so that it is on one line.
fn log_waiting(request: &Incoming, world: Option<&str>, fault: Option<&str>, seq: u64) {
    tracing::info!(
        world,
        method = places::method(&request.method),
        path = &*path(request),
        waits = true,
        fault,
        seq,
    );
}

/// Makes the draft of a request that no rule has judged.
pub(crate) fn draft(state: &State, request: &Incoming) -> Draft {
    let mut draft = Draft {
        client: client_of(request).map(|client| redact::scrub(&client)),
        ..Draft::default()
    };
    let endpoint = request.endpoint();
    match endpoint {
        Endpoint::Token { .. } | Endpoint::DeviceCode { .. } | Endpoint::WorkloadToken { .. } => {
            let Some(members) = members(request) else {
                return draft;
            };
            draft.leaks = leak_scanner::of_members(state, endpoint, members.iter());
            draft.json = Some(json::members(members.iter()));
            draft.grant = grant::grant_of(&members);
            let secret = draft.grant.and_then(grant::secret_of);
            if let Some(secret) = secret.and_then(|name| members.get(name)?.as_str()) {
                draft.note_presented(secret);
            }
        }
        Endpoint::UsersMe
        | Endpoint::Workspaces
        | Endpoint::Api
        | Endpoint::Integration
        | Endpoint::ProjectEnv => {
            if let Ok(Credential::Bearer(secret)) = request.credential() {
                draft.note_presented(secret);
            }
            if matches!(endpoint, Endpoint::Api | Endpoint::Integration) {
                note_members(state, request, &mut draft);
            }
        }
        Endpoint::Authorize { .. } | Endpoint::Unknown => {}
    }
    draft
}

/// Notes the members of a body that no rule reads, as those of an API call are.
pub(super) fn note_members(state: &State, request: &Incoming, draft: &mut Draft) {
    if let Some(members) = members(request) {
        draft.leaks = leak_scanner::of_members(state, request.endpoint(), members.iter());
        draft.json = Some(json::members(members.iter()));
    }
}
