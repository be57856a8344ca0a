//! The person who is asked before each step, and who decides on the pages of the service.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coze_auth::core::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth::core::error::CallbackError;
use coze_auth::core::{Call, Entropy, Flow as _, Step as FlowStep, TokenGrant};
use coze_auth::loopback::{App, Login};
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::time::timeout;
use url::Url;

use super::words;
use crate::clock::SharedClock;

/// What is about to be sent.
#[derive(Clone, Debug)]
pub struct Step {
    /// Number and text of the question.
    pub question: (u8, &'static str),
    /// Maximum number of requests of this step.
    pub requests: u32,
    /// What is sent, and what the person has to do.
    pub sends: String,
    /// What that spends, ends or leaves behind.
    pub spends: String,
}

/// What a person says to a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Send it.
    Yes,
    /// Leave this step out.
    Skip,
    /// End the run.
    End,
}

/// A page of the service on which a person decides.
#[derive(Debug)]
pub struct Visit {
    pub(super) app: App,
    pub(super) redirect: RedirectUri,
    /// The person is asked to approve, else to refuse.
    pub approve: bool,
}

/// What the browser brought back.
#[derive(Debug)]
#[non_exhaustive]
pub enum Visited {
    /// A code, and what belongs to it.
    Code(Exchange),
    /// A callback without a code: what it had.
    Other(String),
    /// Nothing, with the reason.
    Nothing(String),
}

/// What an exchange needs.
#[derive(Clone)]
pub struct Exchange {
    pub(super) code: String,
    pub(super) redirect_uri: String,
    pub(super) verifier: Option<String>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange(***)")
    }
}

impl Exchange {
    /// What the core would send.
    fn of(mut call: Call<TokenGrant>, clock: &SharedClock) -> Option<Self> {
        let FlowStep::Send(request) = call.step(clock.now()) else {
            return None;
        };
        let body: Value = serde_json::from_slice(request.body().as_bytes()).ok()?;
        let text = |name: &str| Some(body[name].as_str()?.to_owned());
        Some(Self {
            code: text("code")?,
            redirect_uri: text("redirect_uri")?,
            verifier: text("code_verifier"),
        })
    }
}

impl Visit {
    /// Shows the address of the page to `open`, and reads the address to which the browser was sent back.
    pub fn by_hand(
        &self,
        clock: &SharedClock,
        open: impl FnOnce(&str) -> Option<String>,
    ) -> Visited {
        let mut random = [0; 32];
        if getrandom::fill(&mut random).is_err() {
            return Visited::Nothing("this machine has no randomness".to_owned());
        }
        let entropy = Entropy::from_bytes(random);
        let made = match &self.app {
            App::Pkce(app) => app.authorize(&self.redirect, entropy),
            App::Web(app) => app.authorize(&self.redirect, entropy),
            _ => return Visited::Nothing("not an app with a page".to_owned()),
        };
        let Ok((url, pending)) = made else {
            return Visited::Nothing("the redirect URI cannot be used".to_owned());
        };
        let Some(back) = open(url.as_str()) else {
            return Visited::Nothing("no address was given".to_owned());
        };
        let names = names(&back);
        let made = Callback::parse(&back).and_then(|callback| self.exchange(pending, &callback));
        match made.map(|call| Exchange::of(call, clock)) {
            Ok(Some(exchange)) => Visited::Code(exchange),
            Ok(None) => Visited::Nothing("its code cannot be read".to_owned()),
            Err(error) => Visited::Other(callback_told(&error, &names)),
        }
    }

    fn exchange(
        &self,
        pending: PendingAuthorization,
        callback: &Callback,
    ) -> Result<Call<TokenGrant>, CallbackError> {
        let made = match &self.app {
            App::Web(app) => app.exchange(pending, callback),
            App::Pkce(app) => app.exchange(pending, callback),
            _ => return Err(CallbackError::NoCode),
        };
        made.map_err(|rejected| rejected.error)
    }

    fn is_on_this_machine(&self) -> bool {
        self.redirect.loopback().is_ok_and(|place| place.port != 0)
    }
}

/// The names of a callback's parameters, those of the protocol alone.
fn names(url: &str) -> String {
    const KNOWN: [&str; 5] = ["code", "error", "error_description", "error_uri", "state"];
    let url = Url::parse(url).ok();
    let pairs = url.iter().flat_map(Url::query_pairs);
    let (known, others): (Vec<String>, Vec<String>) = pairs
        .map(|(name, _)| name.into_owned())
        .partition(|name| KNOWN.contains(&name.as_str()));
    let mut told = match known.is_empty() {
        true => "none of the known parameters".to_owned(),
        false => known.join(", "),
    };
    if !others.is_empty() {
        told += &format!(" and {} others", others.len());
    }
    told
}

fn callback_told(error: &CallbackError, names: &str) -> String {
    match error {
        CallbackError::Refused { code, .. } => {
            let code = words::code(&code.to_string());
            format!("error={code}, with the state of this login; parameters: {names}")
        }
        CallbackError::StateMismatch => {
            format!("without the state of this login; parameters: {names}")
        }
        _ => format!("no code and no error; parameters: {names}"),
    }
}

/// Who is asked, and who decides on pages.
pub trait Person {
    /// Reads a line about what happens.
    fn hears(&mut self, line: &str);

    /// Is asked before each step.
    fn says(&mut self, step: &Step) -> Reply;

    /// Decides on a page of the service.
    fn visits(&mut self, visit: &Visit, clock: &SharedClock) -> Visited;

    /// Is told something unusual before the first step, and says whether to go on.
    fn agrees(&mut self, what: &str) -> bool {
        self.hears(what);
        true
    }

    /// Does something that the run cannot do, such as typing a user code into a page, and says when it is done. Returns false if
    /// nobody does it.
    fn does(&mut self, what: &str) -> bool;

    /// Returns true once the run is to end, wherever it is: nothing more is sent.
    fn has_ended(&self) -> bool {
        false
    }

    /// Waits, and is told for what.
    fn waits(&mut self, clock: &SharedClock, pause: Duration, why: &str) {
        self.hears(&format!("waiting {} s: {why}", pause.as_secs()));
        clock.sleep(pause);
    }
}

/// How soon Ctrl-C is noticed.
const SOON: Duration = Duration::from_millis(200);

/// A person at a terminal: questions and answers on standard error and standard input.
#[derive(Debug)]
pub struct Terminal {
    has_agreed: bool,
    /// The person has ended the run, between two steps or by Ctrl-C.
    has_ended: Arc<AtomicBool>,
}

impl Terminal {
    /// `has_agreed` means that the person has agreed to every request beforehand, in words.
    ///
    /// # Errors
    ///
    /// If standard input is not a terminal, so that nobody could be asked, and the person has not agreed beforehand.
    pub fn new(has_agreed: bool) -> Result<Self, String> {
        match has_agreed || io::stdin().is_terminal() {
            true => Ok(Self {
                has_agreed,
                has_ended: Arc::default(),
            }),
            false => Err(
                "standard input is not a terminal, so nobody can be asked before each step; run this in a terminal, or say --yes-to-every-request if you have read what is sent (docs/shadow.md) and agree to all of it; nothing was sent"
                    .to_owned(),
            ),
        }
    }

    /// Ctrl-C ends the run as `q` does, once what is under way has ended: the findings are not lost. A second one ends the program.
    ///
    /// # Errors
    ///
    /// If the system takes no handler, so that Ctrl-C ends the program as it always does.
    #[cfg(unix)]
    pub fn ends_at_interrupts(&self) -> io::Result<()> {
        use signal_hook::consts::SIGINT;
        use signal_hook::flag::{register, register_conditional_default};
        // In this order: the first one finds the flag as it was.
        register_conditional_default(SIGINT, self.has_ended.clone())?;
        register(SIGINT, self.has_ended.clone())?;
        Ok(())
    }

    /// Waits for the callback of a login in the browser of this machine. None if the person has ended the run meanwhile.
    fn callback(&self, visit: &Visit) -> Option<Result<Call<TokenGrant>, coze_auth::Error>> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let login = Login::new(visit.app.clone(), &visit.redirect);
        let Ok(runtime) = runtime else {
            return Some(login.wait_blocking());
        };
        runtime.block_on(async {
            let mut login = std::pin::pin!(login.wait());
            while !self.has_ended() {
                if let Ok(told) = timeout(SOON, &mut login).await {
                    return Some(told);
                }
            }
            None
        })
    }

    fn print(text: &str) {
        // A reader that has gone is told by standard input.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Asks, and reads the answer. What was typed before the question does not answer it. None if nobody answers.
    fn asks(&self, question: &str) -> Option<String> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || self.has_ended() {
            return None;
        }
        #[cfg(unix)]
        let _ = rustix::termios::tcflush(&stdin, rustix::termios::QueueSelector::IFlush);
        let _ = write!(io::stderr(), "{question}");
        // A read begins anew after a signal, so it begins when there is something to read.
        #[cfg(unix)]
        loop {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
            let told = poll(&mut ready, Timespec::try_from(SOON).ok().as_ref());
            if self.has_ended() {
                Self::print("");
                return None;
            }
            if !matches!(told, Ok(0) | Err(rustix::io::Errno::INTR)) {
                break;
            }
        }
        let mut line = String::new();
        match stdin.lock().read_line(&mut line) {
            Ok(1..) => Some(line.trim().to_owned()),
            _ => None,
        }
    }
}

impl Person for Terminal {
    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    fn hears(&mut self, line: &str) {
        Self::print(line);
    }

    fn says(&mut self, step: &Step) -> Reply {
        if self.has_ended() {
            return Reply::End;
        }
        let (number, text) = step.question;
        Self::print(&format!(
            "\nQuestion {number}: {text}\n  sends:  {} (at most {} requests)\n  spends: {}",
            step.sends, step.requests, step.spends
        ));
        if self.has_agreed {
            return Reply::Yes;
        }
        loop {
            match self
                .asks("  Send it? y = yes, n = leave it out, q = end the run: ")
                .as_deref()
            {
                Some("y" | "yes" | "Y") => return Reply::Yes,
                Some("n" | "no" | "N") => return Reply::Skip,
                Some("q" | "quit") | None => return Reply::End,
                Some(_) => {}
            }
        }
    }

    fn visits(&mut self, visit: &Visit, clock: &SharedClock) -> Visited {
        let what = match visit.approve {
            true => "approve",
            false => "REFUSE",
        };
        Self::print(&format!("  On the page that opens now, {what}."));
        if visit.is_on_this_machine() {
            match self.callback(visit) {
                None => return Visited::Nothing("the run was ended by who was asked".to_owned()),
                Some(Ok(call)) => {
                    return match Exchange::of(call, clock) {
                        Some(exchange) => Visited::Code(exchange),
                        None => Visited::Nothing("its code cannot be read".to_owned()),
                    };
                }
                Some(Err(coze_auth::Error::Core {
                    error: coze_auth::core::Error::Callback(error),
                    ..
                })) => return Visited::Other(callback_told(&error, "not looked at")),
                Some(Err(error)) => Self::print(&format!("  {error}")),
            }
        }
        if !io::stdin().is_terminal() {
            return Visited::Nothing(
                "no callback arrived, and standard input is not a terminal into which its address could be pasted"
                    .to_owned(),
            );
        }
        visit.by_hand(clock, |url| {
            let question = format!(
                "  Open this address, {what}, and paste the address at which your browser ends (Enter alone: there is none).\n\n    {url}\n\n"
            );
            self.asks(&question).filter(|line| !line.is_empty())
        })
    }

    fn agrees(&mut self, what: &str) -> bool {
        Self::print(what);
        if self.has_agreed {
            return true;
        }
        loop {
            match self.asks("  Go on? y = yes, n = no: ").as_deref() {
                Some("y" | "yes" | "Y") => return true,
                Some("n" | "no" | "N" | "q" | "quit") | None => return false,
                Some(_) => {}
            }
        }
    }

    fn does(&mut self, what: &str) -> bool {
        Self::print(&format!("  {what}"));
        loop {
            let question = "  Enter when it is done, n if you do not want to, q = end the run: ";
            match self.asks(question).as_deref() {
                Some("" | "y" | "yes" | "Y") => return true,
                Some("q" | "quit") => {
                    self.has_ended.store(true, Ordering::Relaxed);
                    return false;
                }
                Some("n" | "no" | "N") | None => return false,
                Some(_) => {}
            }
        }
    }

    fn waits(&mut self, clock: &SharedClock, pause: Duration, why: &str) {
        let second = Duration::from_secs(1);
        let mut left = pause;
        while !left.is_zero() && !self.has_ended() {
            let (minutes, seconds) = (left.as_secs() / 60, left.as_secs() % 60);
            let _ = write!(io::stderr(), "\r  {minutes}:{seconds:02} left: {why}  ");
            let part = left.min(second);
            clock.sleep(part);
            left -= part;
        }
        if left.is_zero() {
            let _ = write!(io::stderr(), "\r  0:00 left: {why}  ");
        }
        Self::print("");
    }
}
