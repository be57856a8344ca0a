//! The login in the browser of this machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coze_auth::TokenGrant;
use coze_auth::authorize::RedirectUri;
use coze_auth::blocking::Client;
use coze_auth::loopback::{self, Notice};
use serde::Serialize;

use crate::app::is_set;
use crate::failure::Failure;
use crate::waiting::{Waiting, clock};
use crate::{interrupts, output};

/// How long the person has.
const WITHIN: Duration = Duration::from_secs(5 * 60);

/// What a person needs, in JSON: the first line of `login --json`.
#[derive(Serialize)]
struct Json<'a> {
    authorize_url: &'a str,
    expires_in: u64,
}

pub(super) fn log_in(
    client: &Client,
    app: loopback::App,
    redirect: &RedirectUri,
    json: bool,
) -> Result<TokenGrant, Failure> {
    let line: Arc<Mutex<Option<Waiting>>> = Arc::default();
    let drawn = line.clone();
    let tell = move |notice: &Notice| {
        let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
        // Its line is cleared first.
        drop(drawn.take());
        match notice {
            Notice::Address { url, .. } if json => {
                // A reader that has gone does not call the login off: the browser has the address.
                let _ = output::line(output::json(&Json {
                    authorize_url: url.as_str(),
                    expires_in: WITHIN.as_secs(),
                }));
            }
            notice => output::tell(notice),
        }
        if !may_browser_have_terminal() {
            *drawn = Some(wait_from_now());
        }
    };
    let login = loopback::Login::new(app, redirect).within(WITHIN);
    let call = login.on_notice(tell).wait_blocking();
    drop(line.lock().unwrap_or_else(PoisonError::into_inner).take());
    let call = call?;
    // The code is spent by the request: what it brings is not lost to a signal.
    interrupts::hold("the login is finished first; once more to stop at once");
    Ok(client.run(call)?)
}

fn wait_from_now() -> Waiting {
    let ends = Instant::now() + WITHIN;
    Waiting::start(move || {
        let left = ends.saturating_duration_since(Instant::now());
        format!("Waiting for the browser: {} left", clock(left))
    })
}

/// `BROWSER` may name one that runs in the terminal, such as `w3m`.
fn may_browser_have_terminal() -> bool {
    is_set("BROWSER")
}
