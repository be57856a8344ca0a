//! The sources of one app, one for each of its users.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::kept::Kept;
use crate::{Error, Source};

/// How many are kept, unless the application says otherwise.
const CAPACITY: usize = 100_000;

/// The sessions of one source by their names: as many as the application wants kept, since every end user may have
/// one.
///
/// When that many are kept, one is evicted for each new one: one whose token has ended, and only if there is none the
/// one whose token was asked for the longest ago. A caller that holds an evicted one goes on with it.
pub struct Sessions {
    /// Made when it is first needed: most sources have none.
    kept: OnceLock<Kept<Arc<str>>>,
}

impl Sessions {
    /// None yet; a hundred thousand are kept.
    pub fn new() -> Self {
        Self {
            kept: OnceLock::new(),
        }
    }

    /// None yet; so many are kept, and at least one.
    pub fn with_capacity(capacity: usize) -> Self {
        let sessions = Self::new();
        sessions.set_capacity(capacity);
        sessions
    }

    /// So many are kept from now on, and at least one. Those that are too many are evicted when the next new one comes.
    pub fn set_capacity(&self, capacity: usize) {
        self.kept().set_capacity(capacity);
    }

    fn kept(&self) -> &Kept<Arc<str>> {
        self.kept.get_or_init(|| Kept::new(CAPACITY))
    }

    /// The source of `like`'s app and grant for the session of this name, made if it is not kept or was closed. `like`
    /// is the same source every time, or a session of it.
    ///
    /// # Errors
    ///
    /// [`Error::NotAJwtApp`] if `like` is none's; [`Error::Closed`] if it was closed; [`Error::Core`] if the name is
    /// empty or has invisible characters.
    pub fn session(&self, like: &Source, name: &str) -> Result<Arc<Source>, Error> {
        // Before it is looked for: the users of another kind of app have their names here, too.
        match like.is_of_jwt_app() {
            true => self.of(like, || like.session(name), name),
            false => Err(Error::NotAJwtApp),
        }
    }

    /// The source of this subject's login, as [`session`](Self::session); `like` is the same [`Source::logins`] every time.
    ///
    /// # Errors
    ///
    /// [`Error::NotALogin`] if `like` is none such; [`Error::Closed`] if it was closed; [`Error::Core`] as for
    /// [`GrantKey::new`](coze_auth_store::GrantKey::new).
    pub fn login(&self, like: &Source, subject: &str) -> Result<Arc<Source>, Error> {
        self.of(like, || like.login_of(subject), subject)
    }

    fn of(
        &self,
        like: &Source,
        make: impl FnOnce() -> Result<(Arc<str>, Source), Error>,
        name: &str,
    ) -> Result<Arc<Source>, Error> {
        self.kept().get_or_make(name, || {
            let made = make()?;
            // Under the lock: `close` takes out what came before it, and whatever comes after it finds this.
            match like.is_closed() {
                true => Err(Error::Closed),
                false => Ok(made),
            }
        })
    }

    /// Closes them all. The source that they are sessions of is closed before.
    pub fn close(&self) {
        self.drain().for_each(|source| source.close());
    }

    /// Takes all of them out.
    pub(crate) fn drain(&self) -> impl Iterator<Item = Arc<Source>> {
        self.kept.get().into_iter().flat_map(Kept::drain)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("kept", &self.kept.get().map_or(0, Kept::len))
            .field("at_most", &self.kept.get().map_or(CAPACITY, Kept::capacity))
            .finish()
    }
}
