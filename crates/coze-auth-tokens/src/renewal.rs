//! The requests of a renewal, whatever the kind of grant: one, or a workload's two.

use std::mem;

use coze_auth_core::workload::WorkloadCall;
use coze_auth_core::{self as core, Call, Flow, Now, Response, Step, TokenGrant, TransportFailure};

use crate::Error;
use crate::driver::Driver;
use crate::signing::Signing;

/// The flow of a renewal.
#[derive(Debug)]
#[must_use = "a call does nothing until it is driven"]
pub struct Renewal(Inner);

impl Renewal {
    pub(crate) fn jwt(signing: Signing) -> Self {
        Self(Inner::Unsigned(Box::new(signing)))
    }

    pub(crate) fn refresh(call: Call<TokenGrant>) -> Self {
        Self(Inner::Call(Box::new(call)))
    }

    pub(crate) fn workload(call: WorkloadCall) -> Self {
        Self(Inner::Workload(Box::new(call)))
    }

    /// Has its assertion signed, if it has one: by a signer that may hang or panic, or has to be awaited.
    // As an `async fn` its future is not seen to be `Send` where a renewal is spawned.
    #[allow(clippy::manual_async_fn)]
    pub(crate) fn signed<D: Driver>(
        self,
        driver: &D,
    ) -> impl Future<Output = Result<Self, Error>> + Send {
        async move {
            match self.0 {
                Inner::Unsigned(signing) => Ok(Self::refresh(signing.by(driver).await?)),
                inner => Ok(Self(inner)),
            }
        }
    }
}

#[derive(Debug)]
enum Inner {
    Unsigned(Box<Signing>),
    Call(Box<Call<TokenGrant>>),
    Workload(Box<WorkloadCall>),
    /// It could not be signed.
    Finished,
}

impl Flow for Renewal {
    type Output = TokenGrant;

    /// An assertion that is not signed yet is signed here, for as long as that takes.
    fn step(&mut self, now: Now) -> Step<TokenGrant> {
        let mut call = match mem::replace(&mut self.0, Inner::Finished) {
            Inner::Call(call) => call,
            Inner::Workload(mut call) => {
                let step = call.step(now);
                self.0 = Inner::Workload(call);
                return step;
            }
            Inner::Unsigned(signing) => match signing.here(now) {
                Ok(call) => Box::new(call),
                Err(error) => return Step::Done(Err(error.into())),
            },
            Inner::Finished => return Step::Done(Err(core::Error::FlowFinished)),
        };
        let step = call.step(now);
        self.0 = Inner::Call(call);
        step
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        match &mut self.0 {
            Inner::Call(call) => call.receive(reply, now),
            Inner::Workload(call) => call.receive(reply, now),
            Inner::Unsigned(_) | Inner::Finished => {}
        }
    }
}
