//! Every rule over a store of my own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use coze_auth_store::conformance::StoreUnderTest;
use coze_auth_store::core::TokenGrant;
use coze_auth_store::{
    GrantKey, GrantStore, LockedGrant, Saved, StoreError, store_conformance_tests,
};

/// The engine: a table of grants with their revisions, and one of locks with their holders.
#[derive(Default)]
struct Engine {
    rows: Mutex<HashMap<String, (String, u64)>>,
    locks: Mutex<HashMap<String, u64>>,
    last: AtomicU64, // no revision and no holder comes again
}

#[derive(Clone)]
struct MyStore(Arc<Engine>);

struct MyHolder {
    engine: Arc<Engine>,
    id: String,
    holder: u64,
    seen: Option<u64>, // the revision of the last load
}

impl Engine {
    fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed)
    }

    fn row(&self, id: &str) -> Option<(String, u64)> {
        self.rows.lock().unwrap().get(id).cloned()
    }
}

fn grant_in(row: Option<(String, u64)>) -> Result<Option<TokenGrant>, StoreError> {
    let Some((json, _)) = row else {
        return Ok(None);
    };
    match TokenGrant::from_secret_json(&json) {
        Ok(grant) => Ok(Some(grant)),
        Err(why) => Err(StoreError::Other(Arc::new(why))), // it has no token in its words
    }
}

impl GrantStore for MyStore {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        grant_in(self.0.row(&key.id()))
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let (engine, id, begun) = (self.0.clone(), key.id(), Instant::now());
        let holder = engine.next();
        loop {
            let mut locks = engine.locks.lock().unwrap();
            if *locks.entry(id.clone()).or_insert(holder) == holder {
                break;
            }
            drop(locks);
            if begun.elapsed() >= patience {
                return Err(StoreError::Locked { waited: patience });
            }
            sleep(Duration::from_millis(5));
        }
        let seen = None;
        Ok(Box::new(MyHolder {
            engine,
            id,
            holder,
            seen,
        }))
    }
}

impl LockedGrant for MyHolder {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let row = self.engine.row(&self.id);
        self.seen = row.as_ref().map(|(_, revision)| *revision); // also if it is not a grant
        grant_in(row)
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let found = self.engine.row(&self.id).map(|(_, revision)| revision);
        match found == self.seen {
            true => Ok(()), // here an engine is asked for rights and room, too
            false => Err(StoreError::Superseded),
        }
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let mut rows = self.engine.rows.lock().unwrap();
        if rows.get(&self.id).map(|(_, revision)| *revision) != self.seen {
            return Ok(Saved::Superseded);
        }
        let (json, revision) = (
            grant.to_secret_json().expose().to_owned(),
            self.engine.next(),
        );
        rows.insert(self.id.clone(), (json, revision));
        self.seen = Some(revision);
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.engine.rows.lock().unwrap().remove(&self.id);
        self.seen = None;
        Ok(())
    }
}

impl Drop for MyHolder {
    fn drop(&mut self) {
        let mut locks = self.engine.locks.lock().unwrap();
        if locks.get(&self.id) == Some(&self.holder) {
            locks.remove(&self.id); // only its own: a lease may have ended
        }
    }
}

/// A store in an engine of this test's own: a table of another name, say.
fn fresh() -> StoreUnderTest {
    let engine = Arc::new(Engine::default());
    let (ended, damaged) = (engine.clone(), engine.clone());
    StoreUnderTest::blocking(move || MyStore(engine.clone()))
        .ends_leases_by(move |key| {
            ended.locks.lock().unwrap().remove(&key.id());
        })
        .damages_by(move |key| {
            damaged.rows.lock().unwrap().get_mut(&key.id()).unwrap().0 = "{".to_owned();
        })
}

store_conformance_tests!(fresh());
