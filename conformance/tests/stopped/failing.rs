//! A store that takes its time to fail, as a database does that is gone: it is asked once, and whoever waits for it or
//! asks right after is told at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::device::DeviceApp;
use coze_auth_core::{AccessToken, Endpoints, TokenGrant};
use coze_auth_store::{GrantKey, GrantStore, LockedGrant, StoreError};
use coze_auth_tokens::Error;

use crate::Row;
use crate::caller::{caller, told};

/// For whoever is told "at once".
const AT_ONCE: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Failing {
    blocks: Duration,
    asked: Arc<AtomicUsize>,
}

impl Failing {
    fn fail(&self) -> StoreError {
        self.asked.fetch_add(1, Ordering::SeqCst);
        thread::sleep(self.blocks);
        StoreError::Other(Arc::new(io::Error::other("the database is gone")))
    }
}

impl GrantStore for Failing {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        Err(self.fail())
    }

    fn lock(&self, _: &GrantKey, _: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Err(self.fail())
    }
}

pub(crate) fn row(adapter: &'static str, blocks: Duration) -> Row {
    let store = Failing {
        blocks,
        asked: Arc::default(),
    };
    // Nobody listens there: nothing is sent without a grant.
    let endpoints = Endpoints::custom("http://127.0.0.1:9").expect("loopback http is allowed");
    let app = DeviceApp::new(endpoints, "33333333333333333333333333333333.app.coze");
    let caller = caller(adapter, None, app.expect("an app"), store.clone());
    let caller = Arc::new(caller);
    let again = caller.clone();
    let latest = blocks + AT_ONCE;
    // Two who wait for one answer, and one who asks when it has come.
    let both = Box::new(move || {
        thread::scope(|scope| {
            let other = scope.spawn(|| caller());
            caller().and_then(|_| other.join().expect("it ends"))
        })
    });
    let (after, first) = told(both, latest + Duration::from_secs(30));
    let wrong = match first {
        None => Some("nobody was told".to_owned()),
        Some(first) => {
            let began = Instant::now();
            let next = again();
            let (waited, asked) = (began.elapsed(), store.asked.load(Ordering::SeqCst));
            match (is_told(&first) && is_told(&next), asked) {
                (true, 1) if waited <= AT_ONCE => None,
                (true, 1) => Some(format!("the next one waited for {waited:?}")),
                (true, asked) => Some(format!("the store was asked {asked} times")),
                (false, _) => Some(format!("told {first:?}, then {next:?}")),
            }
        }
    };
    Row {
        what: format!("a store that fails after {} s", blocks.as_secs()),
        adapter,
        after,
        goal: [blocks, latest],
        wrong,
    }
}

fn is_told(told: &Result<AccessToken, Error>) -> bool {
    matches!(told, Err(Error::Store(StoreError::Other(_))))
}
