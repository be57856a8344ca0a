//! A login in the browser of this machine, whose callback this program takes itself (RFC 8252): what a command line needs (feature
//! `loopback`).
//!
//! [`Login`] listens where the redirect URI leads, tells the address to open, opens it in a browser, and gives the request that trades
//! the callback's code for a grant. Any client runs it.
//!
#![cfg_attr(feature = "reqwest", doc = "```no_run")]
#![cfg_attr(not(feature = "reqwest"), doc = "```ignore")]
//! use coze_auth::authorize::RedirectUri;
//! use coze_auth::{Client, Endpoints, Error, TokenSource, loopback, pkce::PkceApp, store::FileStore};
//!
//! # async fn login() -> Result<(), Error> {
//! let client = Client::new()?;
//! let app = PkceApp::new(Endpoints::cn(), "1234.app.coze")?;
//! let redirect = RedirectUri::new("http://127.0.0.1:8414/callback")?; // registered with the app, to the letter
//! let tokens = TokenSource::stored(&client, app.clone(), "alice", FileStore::new("grants")?)?;
//! if tokens.token().await.is_err_and(|error| error.needs_login()) {
//!     let call = loopback::Login::new(&app, &redirect).wait().await?; // waits for the person
//!     let grant = client.run(call).await?;
//!     tokens.install(grant).await?;
//! }
//! # Ok(()) }
//! ```
//!
//! Where nothing is awaited, it is [`wait_blocking`](Login::wait_blocking):
//!
#![cfg_attr(feature = "ureq", doc = "```no_run")]
#![cfg_attr(not(feature = "ureq"), doc = "```ignore")]
//! # use coze_auth::{Error, TokenGrant, authorize::RedirectUri, blocking::Client, loopback, pkce::PkceApp};
//! # fn login(client: &Client, app: &PkceApp, redirect: &RedirectUri) -> Result<TokenGrant, Error> {
//! let grant = client.run(loopback::Login::new(app, redirect).wait_blocking()?)?;
//! # Ok(grant) }
//! ```
//!
//! Over SSH, in a container and wherever no browser is at hand, the device login is the better one: [`device`](crate::device).
//!
//! # What a browser does to a login
//!
//! It sends a callback again at a reload, from restored tabs, and by itself after an error page, to whatever program listens on that port
//! by then. So the first callback that has this login's `state` decides, and the same one again gets the same page and no second
//! exchange. Any other one is answered with a page that says so, and the login goes on waiting. The callback is answered with a redirect
//! to a page whose address has no code, so that neither Reload nor Back sends it again.

mod attempt;
mod browser;
mod listener;
mod page;
mod request;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::authorize::{
    AuthorizeUrl, Callback, CallbackRejected, PendingAuthorization, RedirectUri,
};
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::error::ConfigError;
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::web::WebApp;
use coze_auth_core::{Call, Entropy, TokenGrant};

use self::attempt::{Attempt, Decided};
pub use self::browser::NoBrowser;
use self::browser::Opener;
use crate::Error;

/// How long a login may take unless it is told otherwise.
const WITHIN: Duration = Duration::from_secs(5 * 60);

/// One login in the browser of this machine. See [the module](self).
///
/// The address is an argument of the browser's process, which other users of the machine may read: it has the `state`, and the challenge
/// but not the code verifier, unless the app is one [with a plain challenge](PkceApp::with_plain_challenge). A [`WebApp`]'s client secret is in the program then: that is for a service of your own, and not for a program that others have.
#[must_use = "a login does nothing until it is waited for"]
pub struct Login {
    app: App,
    redirect: RedirectUri,
    any_port: bool,
    workspace: Option<WorkspaceId>,
    within: Duration,
    notify: Notify,
    opener: Opener,
    limits: Limits,
}

/// How long each part may take.
#[derive(Clone, Copy)]
struct Limits {
    /// The head of a request, from its first byte to its last.
    head: Duration,
    /// An answer, and the end of its connection.
    answer: Duration,
    /// After the callback, until the browser has asked for the page that it is led to.
    stay: Duration,
    /// After that page: for what a browser asks for beside it.
    after_page: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            stay: Duration::from_secs(2),
            after_page: Duration::from_millis(200),
        }
    }
}

type Notify = Arc<dyn Fn(&Notice) + Send + Sync>;

impl Login {
    /// A login with this app, whose callback comes to this redirect URI.
    ///
    /// The URI is one of those registered with the app, to the letter: it decides the host and the port, since Coze compares it as text
    /// (protocol §2.2). `http://127.0.0.1:PORT/callback` always arrives; `[::1]` and `localhost` do as well.
    pub fn new(app: impl Into<App>, redirect: &RedirectUri) -> Self {
        Self {
            app: app.into(),
            redirect: redirect.clone(),
            any_port: false,
            workspace: None,
            within: WITHIN,
            // Not `eprintln!`, which panics where nobody reads.
            notify: Arc::new(|notice| drop(writeln!(io::stderr(), "{notice}"))),
            opener: Opener::OfTheMachine,
            limits: Limits::default(),
        }
    }

    /// Listens on a free port in the place of the redirect URI's, for a server that takes any port of this machine (RFC 8252 §7.3). An
    /// earlier login's tabs do not find it. Coze is not known to take one.
    pub fn any_port(mut self) -> Self {
        self.any_port = true;
        self
    }

    /// For a token that sees one workspace only (enterprise plans).
    pub fn in_workspace(mut self, workspace: WorkspaceId) -> Self {
        self.workspace = Some(workspace);
        self
    }

    /// Another limit than five minutes for the whole login, up to its callback. Then it is [`Error::NoCallback`].
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// Tells the person in another way than on standard error. `tell` is called by several threads.
    ///
    /// ```
    /// # use coze_auth::{authorize::RedirectUri, loopback::{Login, Notice}, pkce::PkceApp};
    /// # fn login(app: &PkceApp, redirect: &RedirectUri) {
    /// let login = Login::new(app, redirect).on_notice(|notice| match notice {
    ///     Notice::Address { url, .. } => println!("log in at {url}"),
    ///     other => println!("{other}"),
    /// });
    /// # drop(login);
    /// # }
    /// ```
    pub fn on_notice(mut self, tell: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.notify = Arc::new(tell);
        self
    }

    /// Opens the address in a way of your own. It is called on a thread of its own, after the address was told. What it says is told as
    /// [`Notice::BrowserFailed`] if it is an error; an `Ok` proves nothing.
    pub fn open_with(
        mut self,
        open: impl FnOnce(&AuthorizeUrl) -> io::Result<()> + Send + 'static,
    ) -> Self {
        self.opener = Opener::OfTheCaller(Box::new(open));
        self
    }

    /// Opens no browser: the person does, with the address that is told.
    pub fn without_browser(mut self) -> Self {
        self.opener = Opener::Nobody;
        self
    }

    /// Waits for the callback, and gives the call that trades its code for a grant: run it with your client, once.
    ///
    /// It needs no runtime: it listens on threads of its own. Dropped before its end it listens no longer.
    ///
    /// # Errors
    ///
    /// A redirect URI that does not lead to this machine; [`Error::Listen`] if its port is taken; [`Error::NoCallback`] when the time is
    /// over; what the callback says, such as a consent that the person refused ([`Denied`](crate::ErrorKind::Denied)).
    pub async fn wait(self) -> Result<Call<TokenGrant>, Error> {
        self.start()?.await
    }

    /// Like [`wait`](Self::wait), blocking.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn wait_blocking(self) -> Result<Call<TokenGrant>, Error> {
        self.start()?.wait()
    }

    /// Listens, tells, and opens.
    fn start(self) -> Result<Decided, Error> {
        let listener = listener::bind(&self.redirect, self.any_port)?;
        let entropy = crate::entropy()?;
        let (url, pending) =
            self.app
                .authorize(self.workspace.as_ref(), &listener.redirect, entropy)?;
        let (port, path, notify) = (listener.port, listener.path.clone(), self.notify.clone());
        let attempt = Attempt::new(self.app, pending, path, notify, self.within, self.limits);
        let decided = attempt.decided();
        listener.serve(attempt, self.limits)?;
        let opener = self.opener.here();
        (self.notify)(&Notice::Address {
            url: url.clone(),
            port,
            no_browser: opener.as_ref().err().copied(),
        });
        if let Ok(opener) = opener {
            opener.open(url, self.notify);
        }
        Ok(decided)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("app", &self.app)
            .field("redirect", &self.redirect)
            .finish_non_exhaustive()
    }
}

/// An app that people log in to with a browser.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum App {
    /// Without a client secret.
    Pkce(PkceApp),
    /// With one.
    Web(WebApp),
}

impl App {
    fn authorize(
        &self,
        workspace: Option<&WorkspaceId>,
        redirect: &RedirectUri,
        entropy: Entropy,
    ) -> Result<(AuthorizeUrl, PendingAuthorization), ConfigError> {
        match (self, workspace) {
            (Self::Pkce(app), None) => app.authorize(redirect, entropy),
            (Self::Pkce(app), Some(workspace)) => app.authorize_in(workspace, redirect, entropy),
            (Self::Web(app), None) => app.authorize(redirect, entropy),
            (Self::Web(app), Some(workspace)) => app.authorize_in(workspace, redirect, entropy),
        }
    }

    fn exchange(
        &self,
        pending: PendingAuthorization,
        callback: &Callback,
    ) -> Result<Call<TokenGrant>, CallbackRejected> {
        match self {
            Self::Pkce(app) => app.exchange(pending, callback),
            Self::Web(app) => app.exchange(pending, callback),
        }
    }
}

impl From<PkceApp> for App {
    fn from(app: PkceApp) -> Self {
        Self::Pkce(app)
    }
}

impl From<&PkceApp> for App {
    fn from(app: &PkceApp) -> Self {
        Self::Pkce(app.clone())
    }
}

impl From<WebApp> for App {
    fn from(app: WebApp) -> Self {
        Self::Web(app)
    }
}

impl From<&WebApp> for App {
    fn from(app: &WebApp) -> Self {
        Self::Web(app.clone())
    }
}

/// What a person is told during a login. `Display` is what standard error gets.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The address to open. It is told before a browser is opened, and in every case: a browser that says `Ok` may have opened nothing.
    Address {
        /// The address. It holds the `state`, so it is for this person only.
        url: AuthorizeUrl,
        /// The port of this machine that waits for the callback.
        port: u16,
        /// Why no browser will be opened; None if one will.
        no_browser: Option<NoBrowser>,
    },
    /// No browser could be started, or all that were started have failed.
    BrowserFailed {
        /// What failed, without the address.
        why: String,
    },
    /// A callback of another login arrived, such as an old tab's. It was answered, and this login goes on waiting. Told once.
    StrayCallback,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address {
                url,
                no_browser: None,
                ..
            } => write!(
                f,
                "Log in at this address. It opens in your browser now; if it does not, open it there:\n\n    {url}\n"
            ),
            Self::Address {
                url,
                no_browser: Some(why @ NoBrowser::Ssh),
                port,
            } => write!(
                f,
                "Open this address in a browser on this machine to log in ({why}). For a browser at your end of the SSH session, forward \
                 the port first (ssh -L {port}:127.0.0.1:{port} …), or log in with a device code:\n\n    {url}\n"
            ),
            Self::Address {
                url,
                no_browser: Some(why),
                ..
            } => write!(
                f,
                "Open this address in a browser on this machine to log in ({why}):\n\n    {url}\n"
            ),
            Self::BrowserFailed { why } => {
                write!(f, "The browser did not open ({why}): open the address above yourself.")
            }
            Self::StrayCallback => f.write_str(
                "A tab of another login has called, and can be closed. This login still waits for its own.",
            ),
        }
    }
}
