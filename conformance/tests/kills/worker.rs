//! The process that is killed: a token source over the shared folder, which asks for a token at each tick.

use std::env;
use std::io::{self, Write as _};
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::Endpoints;
use coze_auth_core::pkce::PkceApp;
use coze_auth_mock::fingerprint;
use coze_auth_store::FileStore;
use coze_auth_tokens::Error;

use crate::transports::{OnThreads, OnTokio, Reqwest, Tokens, Ureq};

/// What a worker is started with: its adapter, the mock, the app and the folder.
pub(crate) const ADAPTER: &str = "COZE_AUTH_TEST_WORKER";
pub(crate) const BASE: &str = "COZE_AUTH_TEST_BASE";
pub(crate) const CLIENT_ID: &str = "COZE_AUTH_TEST_CLIENT_ID";
pub(crate) const FOLDER: &str = "COZE_AUTH_TEST_FOLDER";
/// Before every word of a worker, to be told from the test harness's.
pub(crate) const MARK: &str = "worker says: ";

pub(crate) fn run() {
    match env::var(ADAPTER).as_deref() {
        Ok("reqwest") => serve::<OnTokio<Reqwest>>(),
        Ok("ureq") => serve::<OnThreads<Ureq>>(),
        Ok(other) => panic!("no adapter is called {other}"),
        Err(_) => {}
    }
}

/// Each line that comes in is the time, by everyone's clock; it ends with its parent.
fn serve<T: Tokens>() {
    let var = |name| env::var(name).expect("set by the parent");
    let endpoints = Endpoints::custom(&var(BASE)).expect("loopback http is allowed");
    let app = PkceApp::new(endpoints, var(CLIENT_ID)).expect("an app");
    let store = FileStore::new(var(FOLDER)).expect("a folder");
    let clock = SharedClock::new();
    let tokens = T::stored(&clock, app, store);
    say("ready");
    for line in io::stdin().lines() {
        let unix = line.expect("UTF-8").parse().expect("the time");
        let unix = Duration::from_secs(unix);
        clock.advance(unix.saturating_sub(clock.handle().unix()));
        match tokens.token() {
            Ok(token) => say(&format!("token {}", fingerprint(token.expose()))),
            Err(Error::RefreshRefused(_)) => say("refused"),
            Err(error) => say(&format!("failed: {error} ({error:?})")),
        }
    }
}

fn say(word: &str) {
    let line = format!("\n{MARK}{word}\n");
    io::stdout().write_all(line.as_bytes()).expect("a reader");
}
