//! What the tests of the store share.
#![allow(dead_code)] // no test file uses all of it

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coze_auth_redis::{RedisOptions, RedisStore};
use coze_auth_store::core::device::DeviceApp;
use coze_auth_store::core::{Endpoints, TokenGrant};
use coze_auth_store::{GrantKey, GrantStore, Saved};
use tokio::runtime::{Builder, Runtime};

use crate::server::Server;

pub(crate) fn app() -> DeviceApp {
    DeviceApp::new(Endpoints::cn(), "1234.app.coze").unwrap()
}

pub(crate) fn key(user: &str) -> GrantKey {
    GrantKey::new(&app().into(), user).unwrap()
}

pub(crate) fn options(server: &Server) -> RedisOptions {
    RedisOptions::from_url(&server.url()).unwrap()
}

pub(crate) fn with(options: RedisOptions) -> RedisStore {
    RedisStore::with(options).unwrap()
}

/// A store of a process of its own, as far as the server can see.
pub(crate) fn store(server: &Server) -> RedisStore {
    with(options(server))
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub(crate) fn grant(number: u64) -> TokenGrant {
    let now = unix_now();
    let json = format!(
        r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","issued_at":{now},"expires_at":{}}}"#,
        now + 900
    );
    TokenGrant::from_secret_json(&json).unwrap()
}

pub(crate) fn grant_without_refresh(number: u64, lives: u64) -> TokenGrant {
    let now = unix_now();
    let json = format!(
        r#"{{"access_token":"access-{number}","issued_at":{now},"expires_at":{}}}"#,
        now + lives
    );
    TokenGrant::from_secret_json(&json).unwrap()
}

/// Stores the grant of a login.
pub(crate) fn login(store: &RedisStore, key: &GrantKey, number: u64) {
    let mut held = GrantStore::lock(store, key, Duration::from_secs(20)).unwrap();
    assert_eq!(held.save(&grant(number)).unwrap(), Saved::Stored);
}

/// The access token that is stored.
pub(crate) fn access(store: &RedisStore, key: &GrantKey) -> Option<String> {
    let grant = GrantStore::load(store, key).unwrap()?;
    Some(grant.access_token.expose().to_owned())
}

/// The value as it is stored.
pub(crate) fn stored(server: &Server, store: &RedisStore, key: &GrantKey) -> String {
    server.tell(&["HGET", &store.key(key), "v"])
}

/// The names of the fields of a hash.
pub(crate) fn fields(server: &Server, key: &str) -> Vec<String> {
    let mut fields = server.ask(&["HKEYS", key]);
    fields.sort();
    fields
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Waits until something is so; a guard ends a test that would hang.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never is");
        sleep(Duration::from_millis(5));
    }
}
