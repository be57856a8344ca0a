//! Both token sources on the machine's time, behind one face.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::AccessToken;
use coze_auth_core::device::DeviceApp;
use coze_auth_store::GrantStore;
use coze_auth_tokens::Error;

/// Asks for a token, and waits for it.
pub(crate) type Caller = Box<dyn Fn() -> Result<AccessToken, Error> + Send + Sync>;

/// A process that starts now, as far as a source can tell. Without a timeout it has the default one.
pub(crate) fn caller(
    adapter: &str,
    timeout: Option<Duration>,
    app: DeviceApp,
    store: impl GrantStore + 'static,
) -> Caller {
    match adapter {
        "reqwest" => {
            use coze_auth_reqwest::{Client, TokenSource};
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let mut client = Client::new().expect("a client");
            if let Some(timeout) = timeout {
                client = client.with_timeout(timeout);
            }
            let tokens = TokenSource::stored(&client, app, "alice", store).expect("a subject");
            Box::new(move || runtime.block_on(tokens.token()))
        }
        "ureq" => {
            use coze_auth_ureq::{Client, TokenSource};
            let mut client = Client::new().expect("a client");
            if let Some(timeout) = timeout {
                client = client.with_timeout(timeout);
            }
            let tokens = TokenSource::stored(&client, app, "alice", store).expect("a subject");
            Box::new(move || tokens.token())
        }
        other => panic!("no adapter is called {other}"),
    }
}

/// What it was told, and after how long; nothing if that takes longer than `at_most`.
pub(crate) fn told(
    caller: Caller,
    at_most: Duration,
) -> (Duration, Option<Result<AccessToken, Error>>) {
    let (tell, told) = channel();
    let began = Instant::now();
    thread::spawn(move || tell.send(caller()));
    let told = told.recv_timeout(at_most).ok();
    (began.elapsed(), told)
}
