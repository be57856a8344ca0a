//! What the threads of a login share: who decides it, and who is told.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use coze_auth_core::authorize::{Callback, PendingAuthorization};
use coze_auth_core::{Call, TokenGrant};

use super::page::Page;
use super::request::Request;
use super::{App, Limits, Notice, Notify};
use crate::Error;

type Outcome = Result<Call<TokenGrant>, Error>;

/// One login, while its callback is waited for.
pub(super) struct Attempt {
    app: App,
    pending: PendingAuthorization,
    path: String,
    notify: Notify,
    within: Duration,
    /// None if that is too far to be told.
    deadline: Option<Instant>,
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    decision: Option<Decision>,
    /// The decision may be taken: nobody listens any more.
    is_over: bool,
    is_abandoned: bool,
    has_told_stray: bool,
    /// What arrived last at the address of the callback and was refused.
    refused: Option<&'static str>,
    waker: Option<Waker>,
}

struct Decision {
    /// None once it was taken.
    outcome: Option<Outcome>,
    page: Page,
    /// Nobody waits for a browser after this.
    closes_at: Instant,
}

impl Attempt {
    pub(super) fn new(
        app: App,
        pending: PendingAuthorization,
        path: String,
        notify: Notify,
        within: Duration,
        limits: Limits,
    ) -> Arc<Self> {
        Arc::new(Self {
            app,
            pending,
            path,
            notify,
            within,
            deadline: Instant::now().checked_add(within),
            limits,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(super) fn decided(self: &Arc<Self>) -> Decided {
        Decided(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of the page that a callback is led to, which must be another one than its own.
    fn done_path(&self) -> &'static str {
        match self.path.as_str() {
            "/done" => "/logged-in",
            _ => "/done",
        }
    }

    /// Answers a request.
    pub(super) fn answer(&self, request: &Request) -> Page {
        let path = request.path();
        if path == self.done_path() {
            return match &self.state().decision {
                Some(decision) => decision.page,
                None => Page::NotYet,
            };
        }
        if path != self.path {
            return Page::NotFound;
        }
        let page = match Callback::parse(request.target()) {
            _ if request.method() != "GET" => Page::OnlyGet,
            _ if !request.is_navigation() => Page::OnlyInATab,
            Ok(callback) => self.callback(&callback),
            Err(_) => Page::Unreadable,
        };
        let refused = match page {
            Page::OnlyGet => {
                "one that was not a GET: something on the way sent the browser back by another method than Coze, and it was refused"
            }
            Page::OnlyInATab => {
                "one that a part of a page asked for, and not a tab: it was refused"
            }
            Page::Unreadable => "one that cannot be read as a callback: it was refused",
            Page::OfAnotherLogin => {
                "one without the state of this login, as an old tab has it: it was refused"
            }
            _ => return page,
        };
        self.state().refused = Some(refused);
        page
    }

    fn callback(&self, callback: &Callback) -> Page {
        // A copy, so that the same callback is known again later.
        let (outcome, page) = match self.app.exchange(self.pending.clone(), callback) {
            Ok(call) => (Ok(call), Page::Approved),
            Err(rejected) if rejected.pending.is_some() => return self.stray(),
            Err(rejected) => (Err(Error::from(rejected)), Page::Refused),
        };
        let mut state = self.state();
        match &state.decision {
            Some(decision) if decision.page == Page::TooLate => Page::TooLate,
            Some(_) => Page::SeeOther(self.done_path()),
            None => {
                state.decision = Some(Decision {
                    outcome: Some(outcome),
                    page,
                    closes_at: Instant::now() + self.limits.stay,
                });
                Page::SeeOther(self.done_path())
            }
        }
    }

    fn stray(&self) -> Page {
        let has_told = std::mem::replace(&mut self.state().has_told_stray, true);
        if !has_told {
            (self.notify)(&Notice::StrayCallback);
        }
        Page::OfAnotherLogin
    }

    /// This page has reached the browser.
    pub(super) fn served(&self, page: Page) {
        if let Some(decision) = &mut self.state().decision
            && decision.page == page
        {
            let soon = Instant::now() + self.limits.after_page;
            decision.closes_at = decision.closes_at.min(soon);
        }
    }

    /// Whether the listener can close; if the time is over, it decides that.
    pub(super) fn can_close(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        if state.decision.is_none() && self.deadline.is_some_and(|deadline| now >= deadline) {
            state.decision = Some(Decision {
                outcome: Some(Err(Error::NoCallback {
                    waited: self.within,
                    refused: state.refused,
                })),
                page: Page::TooLate,
                closes_at: now,
            });
        }
        let decided = state.decision.as_ref();
        state.is_abandoned || decided.is_some_and(|decision| now >= decision.closes_at)
    }

    /// The port is free again, and the decision can be taken.
    pub(super) fn is_closed(&self) {
        let mut state = self.state();
        state.is_over = true;
        self.changed.notify_all();
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Ready with the decision, when nobody listens any more. Dropped before, it ends the login.
pub(super) struct Decided(Arc<Attempt>);

impl Decided {
    /// Blocks for it.
    pub(super) fn wait(self) -> Outcome {
        let state = self.0.state();
        let mut state = self
            .0
            .changed
            .wait_while(state, |state| !state.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        taken(&mut state)
    }
}

fn taken(state: &mut State) -> Outcome {
    let outcome = state
        .decision
        .as_mut()
        .and_then(|decision| decision.outcome.take());
    // It has one, unless the listening thread has panicked.
    outcome.unwrap_or_else(|| {
        Err(Error::Thread(Arc::new(io::Error::other(
            "the thread of the login panicked",
        ))))
    })
}

impl Future for Decided {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.0.state();
        match state.is_over {
            true => Poll::Ready(taken(&mut state)),
            false => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Decided {
    fn drop(&mut self) {
        self.0.state().is_abandoned = true;
    }
}
