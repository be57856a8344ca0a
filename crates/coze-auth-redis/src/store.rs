//! The store.

use std::fmt;
use std::sync::Arc;

use coze_auth_store::StoreError;

/// Grants in Redis or Valkey, one key a grant, for any number of machines. Clones are the same store.
///
/// ```
/// use coze_auth_redis::RedisStore;
///
/// let store = RedisStore::new("redis://127.0.0.1/")?; // connects when it is first used
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    client: Arc<redis::Client>,
}

impl RedisStore {
    /// Grants in the server at this URL. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Other`] if the URL cannot be read.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let client =
            redis::Client::open(url).map_err(|error| StoreError::Other(Arc::new(error)))?;
        Ok(Self {
            client: Arc::new(client),
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
