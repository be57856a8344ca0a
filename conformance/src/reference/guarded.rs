//! A flow that ends when the case gives its client up.

use coze_auth_core::{Error, Flow, Now, Response, Step, TransportFailure};

use crate::clock::SharedClock;

#[derive(Debug)]
pub(super) struct Guarded<F> {
    flow: F,
    clock: SharedClock,
}

impl<F> Guarded<F> {
    pub(super) const fn new(flow: F, clock: SharedClock) -> Self {
        Self { flow, clock }
    }
}

impl<F: Flow> Flow for Guarded<F> {
    type Output = F::Output;

    fn step(&mut self, now: Now) -> Step<F::Output> {
        match self.clock.is_abandoned() {
            // Whatever it says, it is not looked at.
            true => Step::Done(Err(Error::FlowFinished)),
            false => self.flow.step(now),
        }
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        self.flow.receive(reply, now);
    }
}
