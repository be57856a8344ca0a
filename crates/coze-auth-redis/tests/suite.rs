//! The suite for stores over a real server: blocking with plain values, awaited with sealed ones.

mod server;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use coze_auth_redis::{RedisOptions, RedisStore, SealKey, SealKeys};
use coze_auth_store::GrantKey;
use coze_auth_store::conformance::StoreUnderTest;
use coze_auth_store::store_conformance_tests;
use tokio::runtime::{Builder, Runtime};

use server::Server;

const LEASE: Duration = Duration::from_secs(1);

mod blocking {
    use super::*;

    store_conformance_tests!(over_a_server(false, None));
}

mod awaited_and_sealed {
    use super::*;

    store_conformance_tests!(over_a_server(true, Some(runtime())));
}

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime")
}

#[derive(Clone)]
struct Place(Arc<Mutex<Server>>);

impl Place {
    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store of a process of its own, as far as the server can tell.
    fn open(&self, is_sealed: bool) -> RedisStore {
        let options = RedisOptions::from_url(&self.server().url()).expect("a URL");
        let options = options.lease(LEASE);
        let key = SealKey::new("first", &std::array::from_fn(|at| at as u8 + 1)).expect("a key");
        let options = match is_sealed {
            true => options.sealed(SealKeys::new(key)),
            false => options,
        };
        RedisStore::with(options).expect("a store")
    }
}

/// A store on a server of its own.
fn over_a_server(is_sealed: bool, runtime: Option<Runtime>) -> StoreUnderTest {
    let Some(server) = Server::start("the suite for stores", &[]) else {
        return StoreUnderTest::skipped("redis-server is not installed");
    };
    let place = Place(Arc::new(Mutex::new(server)));
    let opened = place.clone();
    let store = match runtime {
        None => StoreUnderTest::blocking(move || opened.open(is_sealed)),
        Some(runtime) => StoreUnderTest::awaited(
            move |work| runtime.block_on(work),
            move || std::future::ready(opened.open(is_sealed)),
        ),
    };
    let name = move |key: &GrantKey| format!("coze:{}", key.id());
    let (ended, damaged, filled) = (place.clone(), place.clone(), place.clone());
    let (read, restarted) = (place.clone(), place);
    store
        .ends_leases_by(move |key| {
            // As when the holder was stopped, and another has taken the lease and died.
            let ended = ended.server();
            ended.tell(&["HSET", &name(key), "h", "another", "u", "1"]);
            drop(ended);
            // The holder learns it when it next extends its lease.
            sleep(LEASE / 2);
        })
        .damages_by(move |key| {
            damaged.server().tell(&["HSET", &name(key), "v", "damaged"]);
        })
        .fills_by(move |is_full| {
            let most = if is_full { "1" } else { "0" };
            let done = filled.server().tell(&["CONFIG", "SET", "maxmemory", most]);
            assert_eq!(done, "OK");
        })
        .contents_by(move || {
            let server = read.server();
            let mut all = Vec::new();
            for key in server.ask(&["KEYS", "*"]) {
                all.extend_from_slice(key.as_bytes());
                for text in server.ask(&["HGETALL", &key]) {
                    all.extend_from_slice(text.as_bytes());
                }
            }
            all
        })
        .restarts_by(move || restarted.server().restart())
}
