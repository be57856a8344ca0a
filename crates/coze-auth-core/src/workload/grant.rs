//! A workload's grant: one flow of two requests.

use std::mem;

use super::WorkloadApp;
use crate::envelope::Answer;
use crate::error::{Error, TransportFailure};
use crate::flow::{Flow, Step};
use crate::secret::{Alphabet, Hidden, check};
use crate::time::Now;
use crate::token::TokenGrant;
use crate::wire::{Outgoing, Response};

/// One attempt at a workload's grant.
#[derive(Debug)]
#[must_use = "a call does nothing until it is driven"]
pub struct WorkloadCall {
    app: WorkloadApp,
    state: State,
}

#[derive(Debug)]
enum State {
    /// For the id token.
    Identity(Outgoing),
    /// For the access token. It has the id token, which nothing else has.
    Access(Outgoing),
    Over(Box<Result<TokenGrant, Error>>),
    Finished,
}

impl WorkloadCall {
    pub(super) fn of(app: WorkloadApp) -> Self {
        Self {
            state: State::Identity(app.for_id_token()),
            app,
        }
    }

    fn after(
        &self,
        sent: State,
        reply: Result<Response, TransportFailure>,
        now: Now,
    ) -> Result<State, Error> {
        match sent {
            State::Identity(request) => {
                let id_token = Answer::of(&request, reply, now, |answer| id_token(&answer))?;
                Ok(State::Access(self.app.for_access_token(id_token)))
            }
            State::Access(request) => {
                let read = |answer: Answer<'_>| TokenGrant::of_workload(&answer, now);
                let grant = Answer::of(&request, reply, now, read)?;
                Ok(State::Over(Box::new(Ok(grant))))
            }
            other => Ok(other),
        }
    }
}

/// It comes as `access_token` (protocol §15.3).
fn id_token(answer: &Answer<'_>) -> Result<Hidden, Error> {
    const NAME: &str = "access_token";
    let token = Hidden::new(&*answer.text(NAME)?);
    check(&token, NAME, &Alphabet::Text).map_err(|_| answer.bad(NAME))?;
    Ok(token)
}

impl Flow for WorkloadCall {
    type Output = TokenGrant;

    fn step(&mut self, _now: Now) -> Step<TokenGrant> {
        if let State::Identity(request) | State::Access(request) = &self.state {
            return Step::Send(request.request());
        }
        match mem::replace(&mut self.state, State::Finished) {
            State::Over(result) => Step::Done(*result),
            _ => Step::Done(Err(Error::FlowFinished)),
        }
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        let sent = mem::replace(&mut self.state, State::Finished);
        let next = self.after(sent, reply, now);
        self.state = next.unwrap_or_else(|error| State::Over(Box::new(Err(error))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ClientSecret;
    use crate::time::{SteadyTime, UnixTime};
    use crate::workload::WorkloadEndpoints;

    /// A body is wiped with the last that has it, so it is enough that nothing of the flow's does.
    #[test]
    fn neither_the_id_token_nor_the_form_with_the_secret_is_kept() {
        let now = Now {
            unix: UnixTime::from_secs(1_790_000_000),
            steady: SteadyTime::from_duration(std::time::Duration::ZERO),
        };
        let secret = ClientSecret::new("secret").unwrap();
        let app = WorkloadApp::new(WorkloadEndpoints::cn(), "id", secret).unwrap();
        let mut call = app.grant();
        let answers = [
            r#"{"access_token":"id.to.ken"}"#,
            r#"{"access_token":"a","expires_in":900}"#,
        ];
        for answer in answers {
            let Step::Send(request) = call.step(now) else {
                panic!("it sends");
            };
            let sent = request.into_body();
            assert_eq!(sent.holders(), 2, "the flow's and the driver's");
            let answer = Response::new(answer.as_bytes().to_vec().into());
            let received = answer.body().clone();
            call.receive(Ok(answer), now);
            assert_eq!(sent.holders(), 1);
            assert_eq!(received.holders(), 1);
        }
        assert!(matches!(call.step(now), Step::Done(Ok(_))));
    }
}
