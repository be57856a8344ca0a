//! The pipeline of a request to the data plane: gates, scripts and faults, and the rules between them.

use http::header::LOCATION;

use super::World;
use crate::html::callback;
use crate::intercept::effect::{FaultedReply, placeholder};
use crate::intercept::fault::consent_key;
use crate::intercept::fault_kind::CallbackFault;
use crate::intercept::faults::{Firing, Match};
use crate::intercept::phase::At;
use crate::journal::entry::Interference;
use crate::net::socket::ConnectionHandle;
use crate::oauth::{dispatch, recorder};
use crate::protocol::digest::digest;
use crate::protocol::request::Incoming;
use crate::protocol::response::{self, LOGID, Reply};
use crate::state::State;

impl Firing {
    fn interference(&self) -> Interference {
        Interference {
            fault: Some(self.fault.name()),
            script: self.script.clone(),
            change: self.fault.change(),
        }
    }
}

/// `connection`: the connection, if it is one of the mock's own.
pub(crate) async fn serve(
    world: &World,
    request: &Incoming,
    connection: Option<&ConnectionHandle>,
) -> Reply {
    world.gates.pass(request, At::Request).await;
    let (faulted, waits) = match world.faults.meet(request) {
        Some(Match::Error(error, script)) => {
            let state = &mut world.state();
            (
                FaultedReply::plain(recorder::scripted(state, request, &error, script)),
                None,
            )
        }
        // What waits is in a box, as few requests meet a fault and all would be larger by it.
        Some(Match::Fault(firing)) if firing.fault.at == At::Request => {
            let acts = Box::pin(at_request(world, request, firing, connection.is_some()));
            (acts.await, None)
        }
        Some(Match::Fault(firing)) => at_answer(world, request, Some(firing), connection.is_some()),
        None => at_answer(world, request, None, connection.is_some()),
    };
    world.gates.pass(request, At::Answer).await;
    if let Some(firing) = waits {
        Box::pin(firing.wait()).await;
    }
    if let (Some(socket_fault), Some(connection)) = (faulted.socket_fault, connection) {
        connection.inject(socket_fault);
    }
    faulted.reply
}

/// Applies a fault before the rules. The request is recorded at once, since the client may disconnect.
async fn at_request(
    world: &World,
    request: &Incoming,
    firing: Firing,
    socket: bool,
) -> FaultedReply {
    let interference = firing.interference();
    let in_flight = {
        let mut state = world.state();
        let in_flight = recorder::begin(&mut state);
        if !firing.fault.waits() {
            let mut reply = placeholder();
            response::stamp(&mut reply, &in_flight.logid, None);
            let faulted = firing.fault.apply(reply, &request.method, socket);
            let status = Some(faulted.status());
            recorder::record(&mut state, request, in_flight, status, interference);
            return faulted;
        }
        recorder::record(
            &mut state,
            request,
            in_flight.clone(),
            None,
            interference.clone(),
        );
        in_flight
    };
    firing.wait().await;
    let state = &mut world.state();
    let in_flight = match state
        .journal
        .has_waiting(&in_flight.logid, interference.fault)
    {
        true => in_flight.at(state.now_ms()),
        // The world was reset, or the journal cleared.
        false => recorder::begin(state),
    };
    let reply = dispatch::answer(state, request, None, in_flight, interference.clone());
    FaultedReply::plain(response::marked(reply, interference.fault))
}

/// Changes the way back to the app: notes it for the consent page or, if nobody is to decide, acts at once.
fn at_callback(state: &mut State, request: &Incoming, reply: Reply, how: CallbackFault) -> Reply {
    let to = reply
        .headers()
        .get(LOCATION)
        .and_then(|to| to.to_str().ok());
    let to = to.unwrap_or_default();
    let waiting = consent_key(to).and_then(|key| state.authorizations.get_mut(&digest(key)));
    match waiting {
        Some(authorization) => {
            authorization.fault = Some(how);
            reply
        }
        None => {
            let mut changed = callback::redirect(&request.headers, to, Some(how));
            let logid = reply.headers().get(LOGID).cloned();
            changed
                .headers_mut()
                .extend(logid.map(|logid| (LOGID, logid)));
            changed
        }
    }
}

/// Answers by the rules, and applies a fault to the answer. Both happen under one lock, so that the journal has the order of
/// the answers. Also returns the fault if it delays the answer.
fn at_answer(
    world: &World,
    request: &Incoming,
    scripted: Option<Firing>,
    socket: bool,
) -> (FaultedReply, Option<Firing>) {
    let mut state = world.state();
    let reply = dispatch::serve(&mut state, request, None);
    let firing = scripted.filter(|firing| firing.fault.fits(&reply));
    let firing = firing.or_else(|| world.faults.fires(request, At::Answer, Some(&reply)));
    let Some(firing) = firing else {
        return (FaultedReply::plain(reply), None);
    };
    let reply = match firing.fault.callback() {
        Some(how) => at_callback(&mut state, request, reply, how),
        None => reply,
    };
    let faulted = firing.fault.apply(reply, &request.method, socket);
    let status = faulted.status();
    let logids = &state.journal.log_ids;
    tracing::info!(world = logids.world(), fault = firing.fault.name(), status);
    recorder::amend_newest(&mut state, status, firing.interference());
    let waits = firing.fault.waits().then_some(firing);
    (faulted, waits)
}
