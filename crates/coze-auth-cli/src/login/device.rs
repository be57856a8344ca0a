//! The device login: a code and a link on the terminal, and a wait for the person.

use std::io::{Write as _, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coze_auth::TokenGrant;
use coze_auth::blocking::Client;
use coze_auth::device::{DeviceApp, DeviceAuthorization, LastPoll, Progress};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde::Serialize;

use crate::failure::Failure;
use crate::waiting::{Waiting, clock};
use crate::{interrupts, output};

/// What a person needs, in JSON: the first line of `login --json`.
#[derive(Serialize)]
struct Json<'a> {
    verification_uri: &'a str,
    verification_uri_complete: &'a str,
    user_code: &'a str,
    expires_in: u64,
}

pub(super) fn log_in(client: &Client, app: &DeviceApp, json: bool) -> Result<TokenGrant, Failure> {
    let started = client.run(app.start())?;
    match json {
        true => output::line(output::json(&Json {
            verification_uri: &started.verification_uri,
            verification_uri_complete: &started.verification_uri_complete,
            user_code: &started.user_code,
            expires_in: started.expires_in.as_secs(),
        }))?,
        false => show(&started),
    }
    let progress = Arc::new(Mutex::new(Seen::new(&started)));
    let seen = progress.clone();
    let told = move |now: &Progress| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.note(now);
    };
    let waiting = Waiting::start(move || {
        let seen = progress.lock().unwrap_or_else(PoisonError::into_inner);
        seen.line()
    });
    // From here on a signal ends the wait, and not what has been granted.
    interrupts::hold("");
    let grant = client.run_until(app.poll(&started).on_progress(told), interrupts::cancel());
    drop(waiting);
    Ok(grant?)
}

/// The code, the link, and the link as a picture to scan where that can be seen.
fn show(started: &DeviceAuthorization) {
    let link = &started.verification_uri_complete;
    if output::is_drawn()
        && let Ok(code) = QrCode::with_error_correction_level(link, EcLevel::L)
    {
        // Light parts are drawn, and the quiet zone is one: right on a dark background. The terminal is told the colours, so that
        // it is right on a light one, too.
        let drawn = code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        for line in drawn.lines() {
            let _ = writeln!(stderr(), "  \x1b[97;40m{line}\x1b[0m");
        }
        output::tell("");
    }
    output::tell(format_args!("Open   {}", started.verification_uri));
    output::tell(format_args!("enter  {}", started.user_code));
    output::tell(format_args!(
        "or open the link with the code in it:  {link}"
    ));
    let life = clock(started.expires_in);
    output::tell(format_args!("The code is good for {life} minutes.\n"));
}

/// What the line of the wait is made of.
struct Seen {
    ends: Instant,
    why: String,
}

impl Seen {
    fn new(started: &DeviceAuthorization) -> Self {
        Self {
            ends: Instant::now() + started.expires_in,
            why: String::new(),
        }
    }

    fn note(&mut self, progress: &Progress) {
        self.ends = Instant::now() + progress.time_left;
        self.why = match &progress.last_poll {
            LastPoll::Trouble(error) => format!(", after trouble: {error}"),
            _ => String::new(),
        };
    }

    fn line(&self) -> String {
        let left: Duration = self.ends.saturating_duration_since(Instant::now());
        format!("Waiting for you: {} left{}", clock(left), self.why)
    }
}
