//! The way of a request to the data plane: gates, scripts and faults, and between them the rules.

use super::Shared;
use crate::intercept::effect::{Sending, stand_in};
use crate::intercept::faults::{Fired, Met};
use crate::intercept::phase::At;
use crate::journal::entry::Marks;
use crate::net::socket::Line;
use crate::oauth::{dispatch, recorder};
use crate::protocol::request::Incoming;
use crate::protocol::response;
use crate::protocol::response::Reply;

impl Fired {
    fn marks(&self) -> Marks {
        Marks {
            fault: Some(self.fault.name()),
            script: self.script.clone(),
        }
    }
}

/// `line`: the connection, if it is one of the mock's own.
pub(crate) async fn serve(shared: &Shared, request: &Incoming, line: Option<&Line>) -> Reply {
    shared.gates.pass(request, At::Request).await;
    let (sending, waits) = match shared.faults.meet(request) {
        Some(Met::Error(error, script)) => {
            let world = &mut shared.world();
            (
                Sending::plain(recorder::scripted(world, request, &error, script)),
                None,
            )
        }
        // What waits is in a box, as few requests meet a fault and all would be larger by it.
        Some(Met::Fault(fired)) if fired.fault.at == At::Request => {
            let acts = Box::pin(at_request(shared, request, fired, line.is_some()));
            (acts.await, None)
        }
        Some(Met::Fault(fired)) => at_answer(shared, request, Some(fired), line.is_some()),
        None => at_answer(shared, request, None, line.is_some()),
    };
    shared.gates.pass(request, At::Answer).await;
    if let Some(fired) = waits {
        Box::pin(fired.wait()).await;
    }
    if let (Some(order), Some(line)) = (sending.order, line) {
        line.order(order);
    }
    sending.reply
}

/// It is written down at once, for the client may not wait for the end.
async fn at_request(shared: &Shared, request: &Incoming, fired: Fired, socket: bool) -> Sending {
    let marks = fired.marks();
    let begun = {
        let mut world = shared.world();
        let begun = recorder::begin(&mut world);
        if !fired.fault.waits() {
            let mut reply = stand_in();
            response::stamp(&mut reply, &begun.logid, None);
            let sending = fired.fault.spoil(reply, &request.method, socket);
            let status = Some(sending.status());
            recorder::record(&mut world, request, begun, status, marks);
            return sending;
        }
        recorder::record(&mut world, request, begun.clone(), None, marks.clone());
        begun
    };
    fired.wait().await;
    let world = &mut shared.world();
    let begun = match world.journal.has_waiting(&begun.logid, marks.fault) {
        true => begun.at(world.settings.clock.unix_ms()),
        // The world was reset, or the journal forgotten.
        false => recorder::begin(world),
    };
    let reply = dispatch::answer(world, request, None, begun, marks.clone());
    Sending::plain(response::marked(reply, marks.fault))
}

/// Decided while the world is locked, so that the journal tells in which order. Returned beside
/// the answer is what makes it wait.
fn at_answer(
    shared: &Shared,
    request: &Incoming,
    scripted: Option<Fired>,
    socket: bool,
) -> (Sending, Option<Fired>) {
    let mut world = shared.world();
    let reply = dispatch::serve(&mut world, request, None);
    let fired = scripted.or_else(|| shared.faults.fires(request, At::Answer));
    let Some(fired) = fired else {
        return (Sending::plain(reply), None);
    };
    let sending = fired.fault.spoil(reply, &request.method, socket);
    let status = sending.status();
    tracing::info!(fault = fired.fault.name(), status);
    recorder::spoil_newest(&mut world, status, fired.marks());
    let waits = fired.fault.waits().then_some(fired);
    (sending, waits)
}
