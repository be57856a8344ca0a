//! The keys of a JWT app: one, and two while it is replaced.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::jwt::{JwtApp, JwtIssuer, Signer};
use coze_auth_core::{Endpoints, SteadyTime};

use crate::Error;
use crate::sync::{Mutex, locked};

/// A JWT app whose key can be replaced while token sources use it (key rotation). Clones are the same app, and each source
/// that was made of one takes a new key up at once, its sessions too.
///
/// ```
/// use coze_auth_tokens::core::{Endpoints, jwt::{JwtApp, JwtGrant}};
/// use coze_auth_tokens::{JwtKeys, blocking::{self, TokenSource}};
///
/// # use coze_auth_tokens::core::error::SigningError;
/// # use coze_auth_tokens::core::jwt::Signer;
/// # struct Key;
/// # impl Signer for Key {
/// #     fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> { Ok(vec![7; 256]) }
/// # }
/// # use coze_auth_tokens::{SendError, core::{Request, Response}};
/// # #[derive(Clone)]
/// # struct MyTransport;
/// # impl blocking::Transport for MyTransport {
/// #     fn send(&self, _: Request) -> Result<Response, SendError> {
/// #         Ok(Response::new(br#"{"access_token":"a","expires_in":4000000000,"token_type":"Bearer"}"#.to_vec().into()))
/// #     }
/// # }
/// # fn main() -> Result<(), coze_auth_tokens::Error> {
/// # let (key, new_key) = (Key, Key);
/// let app = JwtApp::new(Endpoints::cn(), "1000000001", "key-1", key)?;
/// let keys = JwtKeys::new(app.clone());
/// let tokens = TokenSource::jwt(&MyTransport, &keys, JwtGrant::new()); // keep both
/// tokens.token()?; // signed with key-1
///
/// // Later, when the new key is in Coze's console:
/// keys.replace(app.with_key("key-2", new_key)?)?;
/// assert_eq!(keys.key_id(), "key-2");
/// # Ok(()) }
/// ```
///
/// The new key signs from then on. The one before is kept for a while: if Coze refuses the one key as it refuses a key that it
/// does not know ([`Refused::may_be_the_key`](coze_auth_core::error::Refused::may_be_the_key)), or its signer fails, the
/// same renewal asks once more with the other, and the next renewals begin with the one that worked. So Coze may learn of the
/// new key, and lose the old one, before the program does or after. The one before is dropped when only the new
/// one was needed for as long as an assertion lives (ten minutes), or by [`drop_previous`](Self::drop_previous).
///
/// The type parameter is what signs: a [`JwtApp`], or a `tokio::AsyncJwtApp`, whose signatures are awaited.
pub struct JwtKeys<A = JwtApp> {
    keys: Keys,
    app: PhantomData<fn(A)>,
}

/// The same, however it signs.
#[derive(Clone)]
pub(crate) struct Keys {
    ring: Arc<KeyRing>,
    limit: Option<Duration>,
}

/// A JWT app with one key, however it signs: what a [`JwtApp`] and a `tokio::AsyncJwtApp` become in [`JwtKeys`].
#[derive(Clone)]
pub struct JwtKey(Arc<KeyOfApp>);

impl From<JwtApp> for JwtKey {
    fn from(app: JwtApp) -> Self {
        let signs = Signs::Blocking(app.signer().clone());
        Self::new(app.issuer().clone(), signs)
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtKey").field(self.issuer()).finish()
    }
}

struct KeyOfApp {
    issuer: JwtIssuer,
    signs: Signs,
}

/// How a key signs.
#[derive(Clone)]
pub(crate) enum Signs {
    Blocking(Arc<dyn Signer>),
    #[cfg(feature = "tokio")]
    Awaited(Arc<dyn crate::signing::Awaited>),
}

impl JwtKey {
    pub(crate) fn new(issuer: JwtIssuer, signs: Signs) -> Self {
        Self(Arc::new(KeyOfApp { issuer, signs }))
    }

    pub(crate) fn issuer(&self) -> &JwtIssuer {
        &self.0.issuer
    }

    pub(crate) fn signs(&self) -> &Signs {
        &self.0.signs
    }

    fn id(&self) -> &str {
        self.issuer().key_id()
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<A: Into<JwtKey>> JwtKeys<A> {
    /// The app with the key that it has now.
    pub fn new(app: A) -> Self {
        let ring = Arc::new(KeyRing::new(app.into()));
        Self {
            keys: Keys { ring, limit: None },
            app: PhantomData,
        }
    }

    /// Another time limit of one signature, on the machine's clock, than the client's timeout of a request (30 s, unless the
    /// client was given another). It counts for the sources that are made of this clone. A signer that needs longer has failed:
    /// [`SigningError`](coze_auth_core::error::SigningError), which passes. An assertion that expires before it is signed is
    /// not sent either.
    #[must_use]
    pub fn sign_within(mut self, limit: Duration) -> Self {
        self.keys.limit = Some(limit);
        self
    }

    /// The app with a new key, which signs from now on. An app with the key id that there is already takes the place of that one:
    /// a caller that loads the app's settings anew need not know whether they have changed.
    ///
    /// # Errors
    ///
    /// [`Error::OtherApp`] if it is another app, or the app of another region: a token source is one app's.
    pub fn replace(&self, app: A) -> Result<(), Error> {
        self.keys.ring.replace(app.into())
    }
}

impl<A> JwtKeys<A> {
    /// Drops the key that the new one has replaced, before its time.
    pub fn drop_previous(&self) {
        self.keys.ring.drop_previous();
    }

    /// The id of the key that the next renewal signs with: the new one's, unless Coze has refused that and known the one before.
    /// When a renewal has worked with the new one, the one before may be removed from Coze's console.
    pub fn key_id(&self) -> String {
        self.keys.first().id().to_owned()
    }

    /// Where the app's requests go.
    pub fn endpoints(&self) -> &Endpoints {
        &self.keys.ring.endpoints
    }

    pub(crate) fn into_inner(self) -> Keys {
        self.keys
    }
}

impl Keys {
    /// The id of the app.
    pub(crate) fn client_id(&self) -> &str {
        &self.ring.client_id
    }

    /// How long one signature may take, where a request may take `timeout`.
    pub(crate) fn limit(&self, timeout: Duration) -> Duration {
        self.limit.unwrap_or(timeout)
    }

    /// The key to begin with.
    pub(crate) fn first(&self) -> JwtKey {
        locked(&self.ring.ring).first().clone()
    }

    /// Another key than this one, if there is one.
    pub(crate) fn other(&self, tried: &JwtKey) -> Option<JwtKey> {
        let ring = locked(&self.ring.ring);
        let mut all = [
            Some(ring.first()),
            Some(&ring.newest),
            ring.previous.as_ref(),
        ]
        .into_iter();
        all.find_map(|key| key.filter(|key| !key.is(tried)).cloned())
    }

    /// A renewal has worked with this key, after the other one had not.
    pub(crate) fn worked(&self, key: &JwtKey, after: Option<&JwtKey>, now: SteadyTime) {
        let dropped = locked(&self.ring.ring).worked(key, after, now);
        // A signer of the application's own, without the lock.
        drop(dropped);
    }
}

struct KeyRing {
    client_id: String,
    endpoints: Endpoints,
    ring: Mutex<Ring>,
}

struct Ring {
    newest: JwtKey,
    /// The one before, while it may be needed.
    previous: Option<JwtKey>,
    /// Since when the newest has worked, and the one before was not needed.
    alone_since: Option<SteadyTime>,
    /// The newest failed when it was last asked, and the one before worked.
    prefers_previous: bool,
}

impl KeyRing {
    fn new(key: JwtKey) -> Self {
        Self {
            client_id: key.issuer().client_id().to_owned(),
            endpoints: key.issuer().endpoints().clone(),
            ring: Mutex::new(Ring {
                newest: key,
                previous: None,
                alone_since: None,
                prefers_previous: false,
            }),
        }
    }

    fn replace(&self, new: JwtKey) -> Result<(), Error> {
        let is = new.issuer();
        if (self.client_id.as_str(), &self.endpoints) != (is.client_id(), is.endpoints()) {
            return Err(Error::OtherApp {
                client_id: is.client_id().to_owned(),
                api: is.endpoints().api_base().to_owned(),
            });
        }
        let mut ring = locked(&self.ring);
        let mut dropped = Vec::new();
        if ring.newest.id() != new.id() {
            // The last one that worked is kept, not one that came and went untried.
            let has_worked = ring.alone_since.is_some();
            let kept = ring
                .previous
                .take_if(|key| has_worked || key.id() == new.id());
            dropped.extend(kept);
            let replaced = std::mem::replace(&mut ring.newest, new);
            match &ring.previous {
                None => ring.previous = Some(replaced),
                Some(_) => dropped.push(replaced),
            }
        } else {
            dropped.push(std::mem::replace(&mut ring.newest, new));
        }
        ring.alone_since = None;
        ring.prefers_previous = false;
        // A signer of the application's own is dropped without the lock.
        drop(ring);
        drop(dropped);
        Ok(())
    }

    fn drop_previous(&self) {
        let mut ring = locked(&self.ring);
        ring.prefers_previous = false;
        let previous = ring.previous.take();
        drop(ring);
        drop(previous);
    }
}

impl Ring {
    fn first(&self) -> &JwtKey {
        match &self.previous {
            Some(previous) if self.prefers_previous => previous,
            _ => &self.newest,
        }
    }

    fn worked(&mut self, key: &JwtKey, after: Option<&JwtKey>, now: SteadyTime) -> Option<JwtKey> {
        if key.is(&self.newest) {
            self.prefers_previous = false;
            let since = *self.alone_since.get_or_insert(now);
            let is_over = since.until(now) >= key.issuer().assertion_lifetime();
            return self.previous.take_if(|_| is_over);
        }
        let is_needed = after.is_some_and(|failed| failed.is(&self.newest));
        let is_previous = self
            .previous
            .as_ref()
            .is_some_and(|previous| previous.is(key));
        if is_previous && (is_needed || self.prefers_previous) {
            self.prefers_previous = true;
            self.alone_since = None;
        }
        None
    }
}

impl From<JwtApp> for JwtKeys {
    fn from(app: JwtApp) -> Self {
        Self::new(app)
    }
}

impl<A> From<&Self> for JwtKeys<A> {
    fn from(keys: &Self) -> Self {
        keys.clone()
    }
}

impl<A> Clone for JwtKeys<A> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            app: PhantomData,
        }
    }
}

impl<A> fmt::Debug for JwtKeys<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtKeys").field(&self.keys).finish()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = locked(&self.ring.ring);
        f.debug_struct("Keys")
            .field("newest", ring.newest.issuer())
            .field("previous", &ring.previous.as_ref().map(JwtKey::id))
            .field("signs_with", &ring.first().id())
            .finish_non_exhaustive()
    }
}
