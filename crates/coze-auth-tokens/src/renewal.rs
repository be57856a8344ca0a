//! The one request of a renewal, whatever the kind of grant.

use coze_auth_core::jwt::JwtCall;
use coze_auth_core::{Call, Flow, Now, Response, Step, TokenGrant, TransportFailure};

/// The flow of a renewal: one request.
#[derive(Debug)]
#[must_use = "a call does nothing until it is driven"]
pub struct Renewal(Inner);

impl Renewal {
    pub(crate) fn jwt(call: JwtCall) -> Self {
        Self(Inner::Jwt(call))
    }

    pub(crate) fn refresh(call: Call<TokenGrant>) -> Self {
        Self(Inner::Refresh(Box::new(call)))
    }
}

#[derive(Debug)]
enum Inner {
    Jwt(JwtCall),
    Refresh(Box<Call<TokenGrant>>),
}

impl Flow for Renewal {
    type Output = TokenGrant;

    fn step(&mut self, now: Now) -> Step<TokenGrant> {
        match &mut self.0 {
            Inner::Jwt(call) => call.step(now),
            Inner::Refresh(call) => call.step(now),
        }
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        match &mut self.0 {
            Inner::Jwt(call) => call.receive(reply, now),
            Inner::Refresh(call) => call.receive(reply, now),
        }
    }
}
