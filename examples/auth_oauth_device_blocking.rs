//! `auth_oauth_device`, blocking, and without a picture of the code.
//!
//! ```console
//! $ export COZE_DEVICE_OAUTH_CLIENT_ID=…
//! $ cargo run --example auth_oauth_device_blocking -- [FOLDER]
//! ```

use coze_auth::blocking::{Client, TokenSource};
use coze_auth::{Error, ErrorKind, Region, TokenGrant};
use coze_auth::{device::DeviceApp, environment, store::FileStore};

fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "coze-grants".into());
    let (client, app) = (Client::new()?, environment(Region::Cn).device_app()?);
    let store = FileStore::new(&folder)?; // for this user alone
    let tokens = TokenSource::stored(&client, app.clone(), "me", store)?;
    if tokens.token().is_err_and(|error| error.needs_login()) {
        // Stored first; from here on `tokens` renews it, in every process with this folder.
        tokens.install(log_in(&client, &app)?)?;
    }
    let user = tokens.whoami()?;
    println!("logged in as {}, kept in {folder}", user.user_name);
    tokens.close()
}

fn log_in(client: &Client, app: &DeviceApp) -> Result<TokenGrant, Error> {
    loop {
        let started = client.run(app.start())?;
        println!("Open {}", started.verification_uri_complete);
        println!(
            "or enter {} at {}",
            started.user_code, started.verification_uri
        );
        match client.run(app.poll(&started)) {
            Err(error) if error.kind() == ErrorKind::CodeExpired => {
                println!("The code is over. Here is another.");
            }
            // An error says whether the person said no (`ErrorKind::Denied`), or what else it is.
            ended => return ended,
        }
    }
}
