//! The sources of one JWT app, one for each grant that is asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use coze_auth_core::jwt::JwtGrant;

use crate::sync::{Mutex, locked};
use crate::{Error, Source};

/// How many are kept; the one that was not asked for the longest goes first.
const CAPACITY: usize = 1_000;

/// Sources by grant: account or enterprise, session, scope and life. Bounded, since every end user may have one.
#[derive(Default)]
pub struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    sources: HashMap<JwtGrant, (Arc<Source>, u64)>,
    asked: u64,
}

impl Sessions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The source of `like`'s app for this session, made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::NotAJwtApp`] if `like` is none's; [`Error::Closed`] if it was closed; [`Error::Core`] if the name is
    /// empty or has invisible characters.
    pub fn session(&self, like: &Source, name: &str) -> Result<Arc<Source>, Error> {
        let grant = like.jwt_grant().ok_or(Error::NotAJwtApp)?;
        let grant = grant.clone().session_name(name)?;
        if like.is_closed() {
            return Err(Error::Closed);
        }
        let mut kept = locked(&self.0);
        kept.asked += 1;
        let asked = kept.asked;
        match kept.sources.get_mut(&grant) {
            // One that was closed, by someone who was done with it, is made anew for who comes next.
            Some((source, last)) if !source.is_closed() => {
                *last = asked;
                return Ok(source.clone());
            }
            _ => {}
        }
        if kept.sources.len() >= CAPACITY {
            let oldest = kept.sources.iter().min_by_key(|(_, (_, last))| *last);
            let oldest = oldest.map(|(grant, _)| grant.clone());
            oldest.and_then(|grant| kept.sources.remove(&grant));
        }
        let source = Arc::new(like.sibling(grant.clone()).ok_or(Error::NotAJwtApp)?);
        kept.sources.insert(grant, (source.clone(), asked));
        Ok(source)
    }

    /// Closes them all, with the source that they are sessions of.
    pub fn close(&self) {
        for (source, _) in locked(&self.0).sources.values() {
            source.close();
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = locked(&self.0).sources.len();
        f.debug_struct("Sessions").field("kept", &kept).finish()
    }
}
