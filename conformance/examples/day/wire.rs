//! What is between a source and its HTTP client: it sees each request, and what became of it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::{Now, Request, Response, UnixTime};
use coze_auth_tokens::{SendError, blocking, tokio};
use serde_json::Value;

use crate::Plant;
use crate::book::{Book, Fate, From};
use crate::clocks::{AsyncClock, BlockingClock};

/// A machine's clock: the calendar may be wrong, and the steady time is everybody's.
#[derive(Clone)]
pub(crate) struct Clock {
    pub(crate) shared: SharedClock,
    pub(crate) off: Arc<AtomicI64>,
    /// The calendar stands still.
    pub(crate) stands_at: Option<u64>,
}

impl Clock {
    /// What the calendar should say to a source that reads it.
    fn right(&self) -> u64 {
        let server = self.shared.now().unix.as_secs();
        server.saturating_add_signed(self.off.load(Ordering::Relaxed))
    }

    fn now(&self) -> Now {
        let secs = self.stands_at.unwrap_or_else(|| self.right());
        Now {
            unix: UnixTime::from_secs(secs),
            ..self.shared.now()
        }
    }
}

impl blocking::Time for Clock {
    fn now(&self) -> Now {
        self.now()
    }

    fn sleep(&self, pause: Duration) {
        self.shared.sleep(pause);
    }

    fn wait(&self, signal: &coze_auth_ureq::Signal, at_most: Duration) {
        blocking::Time::wait(&BlockingClock(self.shared.clone()), signal, at_most);
    }
}

impl tokio::Time for Clock {
    fn now(&self) -> Now {
        self.now()
    }

    fn sleep(&self, pause: Duration) -> tokio::Sleep<'_> {
        Box::pin(async move {
            self.shared.sleep(pause);
        })
    }

    fn wait<'a>(
        &'a self,
        woken: coze_auth_reqwest::Waiting,
        at_most: Duration,
    ) -> tokio::Sleep<'a> {
        let clock = AsyncClock(self.shared.clone());
        Box::pin(async move { tokio::Time::wait(&clock, woken, at_most).await })
    }
}

/// A client that is watched.
#[derive(Clone)]
pub(crate) struct Watched<C> {
    pub(crate) client: C,
    pub(crate) machine: usize,
    pub(crate) clock: Clock,
    pub(crate) book: Arc<Mutex<Book>>,
    pub(crate) plant: Option<Plant>,
    pub(crate) kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// What a request was.
enum Sent {
    Call { bearer: String },
    Token { refresh_token: Option<String> },
}

impl<C> Watched<C> {
    fn book(&self) -> MutexGuard<'_, Book> {
        let mut book = self.book.lock().expect("nobody panics");
        book.now = self.clock.shared.now().unix.as_secs();
        book
    }

    fn from(&self) -> From {
        From {
            machine: self.machine,
            now: self.clock.right(),
        }
    }

    fn begin(&self, request: &Request) -> Sent {
        if request.uri().path() == "/v1/users/me" {
            let bearer = request.headers()["authorization"].to_str().expect("a text");
            let bearer = bearer.trim_start_matches("Bearer ").to_owned();
            self.book().uses(self.from(), &bearer);
            return Sent::Call { bearer };
        }
        let body: Value = serde_json::from_slice(request.body().as_bytes()).expect("JSON");
        let refresh_token = body["refresh_token"].as_str().map(str::to_owned);
        self.book().asks(self.from(), refresh_token.as_deref());
        Sent::Token { refresh_token }
    }

    fn end(&self, sent: &Sent, answered: &Result<Response, SendError>) {
        let from = self.from();
        let mut book = self.book();
        let refresh_token = match sent {
            Sent::Call { bearer } => {
                let refused = matches!(answered, Ok(answer) if answer.status() == 401);
                return book.was_used(from, bearer, refused);
            }
            Sent::Token { refresh_token } => refresh_token.as_deref(),
        };
        let failed = Fate::Failed(book.now);
        let Ok(answer) = answered else {
            return book.failed(from, refresh_token, failed, true);
        };
        let bytes = answer.body().as_bytes();
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        if let (Some(access), Some(end)) =
            (body["access_token"].as_str(), body["expires_in"].as_u64())
        {
            if self.plant == Some(Plant::Leak) {
                self.kept
                    .lock()
                    .expect("nobody panics")
                    .push(bytes.to_vec());
            }
            return book.granted(from, refresh_token, access, end);
        }
        match body["error_code"].as_str() {
            Some("invalid_grant") => book.failed(from, refresh_token, Fate::Refused, false),
            // A gateway's success may hide one, and a 5xx may come after Coze has acted.
            code => book.failed(from, refresh_token, failed, code.is_none()),
        }
    }

    /// An HTTP client that means well.
    fn sends_again(&self, answered: &Result<Response, SendError>) -> bool {
        self.plant == Some(Plant::Spent) && answered.is_err()
    }
}

impl blocking::Transport for Watched<coze_auth_ureq::Client> {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let once = || {
            let sent = self.begin(&request);
            let answered = self.client.send(request.clone());
            self.end(&sent, &answered);
            answered
        };
        let answered = once();
        match self.sends_again(&answered) {
            true => once(),
            false => answered,
        }
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.clock
    }
}

impl tokio::Transport for Watched<coze_auth_reqwest::Client> {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let once = async || {
            let sent = self.begin(&request);
            let answered = tokio::Transport::send(&self.client, request.clone()).await;
            self.end(&sent, &answered);
            answered
        };
        let answered = once().await;
        match self.sends_again(&answered) {
            true => once().await,
            false => answered,
        }
    }

    fn time(&self) -> &dyn tokio::Time {
        &self.clock
    }
}
