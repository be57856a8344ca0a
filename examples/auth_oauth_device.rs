//! OAuth device code (设备码授权): a program without a browser shows a code, and a person approves on another device. The login is kept, so that the next run
//! asks nobody.
//!
//! ```console
//! $ export COZE_DEVICE_OAUTH_CLIENT_ID=…
//! $ cargo run --example auth_oauth_device -- [FOLDER]
//! ```

use std::io::{IsTerminal as _, Write as _, stdout};

use coze_auth::device::{DeviceApp, DeviceAuthorization, LastPoll, Progress};
use coze_auth::{Client, Error, ErrorKind, Region, TokenGrant, TokenSource};
use coze_auth::{environment, store::FileStore};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "coze-grants".into());
    let (client, app) = (Client::new()?, environment(Region::Cn).device_app()?);
    let store = FileStore::new(&folder)?; // for this user alone
    let tokens = TokenSource::stored(&client, app.clone(), "me", store)?;
    if tokens.token().await.is_err_and(|error| error.needs_login()) {
        // Stored first; from here on `tokens` renews it, in every process with this folder.
        tokens.install(log_in(&client, &app).await?).await?;
    }
    let user = tokens.whoami().await?;
    println!("logged in as {}, kept in {folder}", user.user_name);
    tokens.close().await
}

async fn log_in(client: &Client, app: &DeviceApp) -> Result<TokenGrant, Error> {
    loop {
        let started = client.run(app.start()).await?;
        show(&started);
        let ended = client.run(app.poll(&started).on_progress(tell)).await;
        println!();
        match ended {
            Err(error) if error.kind() == ErrorKind::CodeExpired => {
                println!("The code is over. Here is another.");
            }
            // An error says whether the person said no (`ErrorKind::Denied`), or what else it is.
            ended => return ended,
        }
    }
}

/// The code, the page, and both in one to scan.
fn show(started: &DeviceAuthorization) {
    let link = &started.verification_uri_complete;
    if let Ok(code) = QrCode::with_error_correction_level(link, EcLevel::L) {
        // The light parts are drawn, so it is for a dark background: a terminal is told the colours.
        let mut picture = code.render::<Dense1x2>();
        let picture = picture
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        match stdout().is_terminal() {
            true => println!(
                "\x1b[97;40m{}\x1b[0m",
                picture.replace('\n', "\x1b[0m\n\x1b[97;40m")
            ),
            false => println!("{picture}"),
        }
    }
    println!("Scan it, or open {link}");
    println!(
        "or enter {} at {}\n",
        started.user_code, started.verification_uri
    );
}

/// One line, written anew each time on a terminal.
fn tell(progress: &Progress) {
    let left = progress.time_left.as_secs();
    let why = match &progress.last_poll {
        LastPoll::SlowDown => "Coze asks for fewer polls".to_owned(),
        LastPoll::Trouble(error) => error.to_string(),
        _ => "Waiting for your approval".to_owned(),
    };
    let line = format!("{}:{:02} left. {why}", left / 60, left % 60);
    match stdout().is_terminal() {
        // What does not fit would be left standing: 79 of 80 columns.
        true => print!("\r\x1b[K{}", line.chars().take(79).collect::<String>()),
        false => println!("{line}"),
    }
    let _ = stdout().flush();
}
