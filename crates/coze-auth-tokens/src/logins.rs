//! The tokens of all users of a web, PKCE or device app.

use std::fmt;
use std::sync::Arc;

use coze_auth_core::RefreshApp;
use coze_auth_store::GrantStore;

use crate::driver::Driver;
use crate::grants::Store;
use crate::observer::Event;
use crate::{Error, TokenSource};

/// The tokens of everybody who logs in with one web, PKCE or device app, in one store. Clones share everything; keep one
/// in a struct field.
///
/// A server asks [`of`](Self::of) anew for each request. The users who were there last are kept in memory, a hundred thousand of
/// them: one with a fresh token is found without a look into the store, and all who ask for one user's token make one
/// renewal. Anybody else's grant is read from the store, as in a process that has just been started. What is evicted
/// loses nothing: a user whose renewal runs, or whose grant waits to be stored, or whose source somebody holds, stays.
///
/// ```
/// use coze_auth_tokens::blocking::{self, Logins};
/// use coze_auth_tokens::core::{Endpoints, TokenGrant, device::DeviceApp};
/// use coze_auth_tokens::store::MemoryStore;
///
/// # use coze_auth_tokens::{SendError, core::{Request, Response}};
/// # #[derive(Clone)]
/// # struct MyTransport;
/// # impl blocking::Transport for MyTransport {
/// #     fn send(&self, _: Request) -> Result<Response, SendError> {
/// #         Ok(Response::new(br#"{"code":0,"msg":"","data":{"user_id":"7300","user_name":"alice"}}"#.to_vec().into()))
/// #     }
/// # }
/// # fn main() -> Result<(), coze_auth_tokens::Error> {
/// # let grant = TokenGrant::from_secret_json(r#"{"access_token":"a","issued_at":1790000000,"expires_at":4000000000}"#)?;
/// let app = DeviceApp::new(Endpoints::cn(), "5678.app.coze")?;
/// let logins = Logins::new(&MyTransport, app, MemoryStore::new()); // keep it
/// let alice = logins.of("alice")?;
/// assert!(alice.token().unwrap_err().needs_login());
///
/// logins.install("alice", grant)?; // what her login gave
/// assert_eq!(alice.token()?.expose(), "a");
/// logins.forget("alice")?;
/// # Ok(()) }
/// ```
pub struct Logins<D: Driver>(TokenSource<D>);

impl<D: Driver> Clone for Logins<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: Driver> fmt::Debug for Logins<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Logins").field(&self.0).finish()
    }
}

impl<D: Driver> Logins<D>
where
    D::Transport: Clone,
{
    /// Everybody who has a grant of this app in this store.
    pub fn new(
        transport: &D::Transport,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self {
        Self::in_store(transport, app.into(), D::store(Arc::new(store)))
    }

    pub(crate) fn in_store(transport: &D::Transport, app: RefreshApp, store: Store) -> Self {
        Self(TokenSource::logins(transport.clone(), app, store))
    }
}

impl<D: Driver> Logins<D> {
    /// The source of a user's tokens: the same for the same subject. `subject` is your own name for the user; the grant rests in the
    /// store under it.
    ///
    /// Whether the user is logged in is told when a token is asked for ([`Error::LoginNeeded`]). Its `close` ends it for this
    /// user, until the next `of`.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]; [`Error::Core`] if the subject is empty, has white space around it or invisible characters.
    pub fn of(&self, subject: &str) -> Result<TokenSource<D>, Error> {
        self.0.login(subject)
    }

    /// How many users are kept in memory, for all clones: a hundred thousand, unless said otherwise, and at least one.
    #[must_use]
    pub fn kept(self, count: usize) -> Self {
        Self(self.0.sessions_kept(count))
    }

    /// How many renewals run at once, for all clones: see
    /// [`TokenSource::renewals_at_once`](TokenSource::renewals_at_once).
    #[must_use]
    pub fn renewals_at_once(self, count: usize) -> Self {
        Self(self.0.renewals_at_once(count))
    }

    /// Tells `observer` what happens to the tokens of all users: see [`TokenSource::observe`](TokenSource::observe).
    #[must_use]
    pub fn observe(self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(self.0.observe(observer))
    }

    /// Lets the sources of this value and its clones to come wait for the renewal of a token that is stale but valid: see
    /// [`TokenSource::wait_when_stale`](TokenSource::wait_when_stale).
    #[must_use]
    pub fn wait_when_stale(self) -> Self {
        Self(self.0.wait_when_stale())
    }

    /// Lets the tokens of all users go to another origin than the API's, such as `https://gateway.example`.
    ///
    /// # Errors
    ///
    /// As for [`TokenSource::allow_origin`](TokenSource::allow_origin).
    pub fn allow_origin(self, url: &str) -> Result<Self, Error> {
        self.0.allow_origin(url).map(Self)
    }

    /// Like [`allow_origin`](Self::allow_origin), with `http` allowed to any host: all who can listen on the way get the
    /// tokens.
    ///
    /// # Errors
    ///
    /// As for [`allow_origin`](Self::allow_origin), plain `http` aside.
    pub fn allow_origin_insecure(self, url: &str) -> Result<Self, Error> {
        self.0.allow_origin_insecure(url).map(Self)
    }

    pub(crate) async fn end(&self) -> Result<(), Error> {
        self.0.end().await
    }
}
