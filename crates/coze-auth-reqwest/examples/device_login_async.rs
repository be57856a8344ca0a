//! Logs a person in on a device without a browser, and keeps the login: `device_login` of `coze-auth-ureq`, async.
//!
//! ```console
//! $ export COZE_DEVICE_OAUTH_CLIENT_ID=…
//! $ cargo run -p coze-auth-reqwest --example device_login_async -- [cn|com] [FOLDER]
//! ```

use std::error::Error as StdError;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::iter::successors;
use std::process::ExitCode;
use std::time::Duration;

use coze_auth_reqwest::core::device::{DeviceAuthorization, LastPoll, Progress};
use coze_auth_reqwest::core::{Region, whoami};
use coze_auth_reqwest::store::FileStore;
use coze_auth_reqwest::{Client, Error, ErrorKind, TokenSource, environment};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Err(error) = log_in().await else {
        return ExitCode::SUCCESS;
    };
    // Below the line of the progress, if that stands there.
    eprintln!("\nerror: {error}");
    let causes = successors(error.source(), |&cause| cause.source());
    causes.for_each(|cause| eprintln!("  because: {cause}"));
    ExitCode::FAILURE
}

async fn log_in() -> Result<(), Box<dyn StdError>> {
    let mut arguments = std::env::args().skip(1);
    let region = match arguments.next().as_deref() {
        None | Some("cn") => Region::Cn,
        Some("com") => Region::Com,
        Some(other) => return Err(format!("{other} is no region: cn or com").into()),
    };
    let folder = arguments.next().unwrap_or_else(|| "coze-grants".to_owned());
    let store = FileStore::new(&folder)?;
    store
        .notices()
        .iter()
        .for_each(|notice| eprintln!("{notice}"));

    let client = Client::new()?;
    let app = environment(region).device_app()?;
    let tokens = TokenSource::stored(&client, app.clone(), "me", store)?;
    let grant = loop {
        let started = client.run(app.start()).await?;
        show(&started)?;
        println!("Press Ctrl-C to call it off.\n");
        let ended = tokio::select! {
            ended = client.run(app.poll(&started).on_progress(tell)) => ended,
            // The run is dropped where it is.
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                return Err(Error::Cancelled.into());
            }
        };
        match ended {
            Err(error) if error.kind() == ErrorKind::CodeExpired => {
                println!("\nThe code is over. Here is another.");
            }
            ended => break ended?,
        }
    };

    tokens.install(grant).await?; // from here on `tokens` renews it, in every process with this store
    let token = tokens.token().await?;
    let user = client.run(whoami(app.endpoints(), &token)).await?;
    let name = user.user_name;
    println!("\nLogged in as {name}. The login is kept in {folder}.");
    Ok(())
}

/// The code, the page, and both in one to scan.
fn show(started: &DeviceAuthorization) -> Result<(), Box<dyn StdError>> {
    let link = &started.verification_uri_complete;
    let code = QrCode::with_error_correction_level(link, EcLevel::L)?;
    // Light parts are drawn, and the quiet zone is one: right on a dark background. A terminal is told the
    // colours, so that it is right on a light one, too.
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    println!();
    let (on, off) = match stdout().is_terminal() {
        true => ("\x1b[97;40m", "\x1b[0m"),
        false => ("", ""),
    };
    for line in drawn.lines() {
        println!("  {on}{line}{off}");
    }
    println!("\n  Scan it, or open  {}", started.verification_uri);
    println!("  and enter         {}\n", started.user_code);
    println!("  or open what is in it:\n  {link}\n");
    Ok(())
}

/// One line, written anew each time on a terminal.
fn tell(progress: &Progress) {
    let seconds = |time: Duration| time.as_millis().div_ceil(1000);
    let left = seconds(progress.time_left);
    let next = match seconds(progress.next_poll) {
        0 => "looking now".to_owned(),
        secs => format!("next look in {secs} s"),
    };
    let why = match &progress.last_poll {
        LastPoll::SlowDown => ", as Coze asks for fewer".to_owned(),
        LastPoll::Trouble(error) => format!(", after trouble: {error}"),
        _ => String::new(),
    };
    let line = format!("Waiting: {}:{:02} left, {next}{why}", left / 60, left % 60);
    match stdout().is_terminal() {
        // What does not fit would be left standing: 79 of 80 columns.
        true => print!("\r\x1b[K{}", line.chars().take(79).collect::<String>()),
        false => println!("{line}"),
    }
    let _ = stdout().flush();
}
