//! A process that is stopped while it renews: it holds the grant's lock, and lets nobody have it until it goes on.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coze_auth_core::device::DeviceApp;
use coze_auth_core::{Endpoints, TokenGrant};
use coze_auth_mock::{At, CozeAuthMock, On};
use coze_auth_store::{FileStore, GrantKey, GrantStore as _, StoreError};
use coze_auth_tokens::Error;

use crate::Row;
use crate::caller::{caller, told};

/// What a worker is started with.
const ADAPTER: &str = "COZE_AUTH_TEST_STOPPED";
const BASE: &str = "COZE_AUTH_TEST_BASE";
const FOLDER: &str = "COZE_AUTH_TEST_FOLDER";
/// How long it has to come as far as its request.
const PATIENCE: Duration = Duration::from_secs(60);

fn app(base: &str) -> DeviceApp {
    let endpoints = Endpoints::custom(base).expect("loopback http is allowed");
    DeviceApp::new(endpoints, "33333333333333333333333333333333.app.coze").expect("an app")
}

pub(crate) fn run() {
    let Ok(adapter) = std::env::var(ADAPTER) else {
        return;
    };
    let var = |name| std::env::var(name).expect("set by the parent");
    let store = FileStore::new(var(FOLDER)).expect("a folder");
    // It is stopped in here, and killed.
    let told = caller(&adapter, None, app(&var(BASE)), store)();
    panic!("nobody stopped it: {told:?}");
}

struct Holder {
    child: Child,
    folder: PathBuf,
}

impl Holder {
    /// This binary once more.
    fn start(adapter: &str, base: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["--exact", "worker", "--nocapture"])
            .envs([(ADAPTER, adapter), (BASE, base)])
            .env(FOLDER, folder)
            .stdout(Stdio::null());
        Self {
            child: command.spawn().expect("a process"),
            folder: folder.to_owned(),
        }
    }

    fn stop(&self) {
        let signal = format!("kill -STOP {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &signal]).status();
        assert!(sent.expect("a shell").success(), "{signal}");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A process that is stopped dies of it, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn row(adapter: &'static str, timeout: Option<Duration>, goal: [Duration; 2]) -> Row {
    let mock = CozeAuthMock::builder().start_blocking().expect("a mock");
    let app = app(mock.base_url());
    let timeout_s = timeout.map_or(30, |timeout| timeout.as_secs());
    let name = format!(
        "coze-auth-stopped-{}-{adapter}-{timeout_s}",
        std::process::id()
    );
    let folder = std::env::temp_dir().join(name);
    let store = FileStore::new(&folder).expect("a folder");
    // A grant that has ended. The mock does not look at it: it holds the request before.
    let ended = r#"{"access_token":"a","refresh_token":"r","issued_at":1700000000,"expires_at":1700000900}"#;
    let ended = TokenGrant::from_secret_json(ended).expect("a grant");
    let key = GrantKey::new(&app.clone().into(), "alice").expect("a key");
    let held = store.lock(&key, Duration::ZERO);
    held.expect("nobody has it").save(&ended).expect("stored");

    let gate = mock.gate("refresh", On::grant("refresh_token"), At::Request);
    let holder = Holder::start(adapter, mock.base_url(), &folder);
    assert!(gate.arrived_blocking(1, PATIENCE), "no request came");
    holder.stop();
    let caller = caller(adapter, timeout, app, store);
    let (after, told) = told(caller, goal[1] + Duration::from_secs(10));
    let wrong = match told {
        Some(Err(Error::Store(StoreError::Locked { .. }))) => None,
        Some(other) => Some(format!("told {other:?}")),
        None => Some("nobody was told".to_owned()),
    };
    Row {
        what: format!("the lock's holder is stopped, timeout {timeout_s} s"),
        adapter,
        after,
        goal,
        wrong,
    }
}
