//! `auth_oauth_pkce`, blocking.
//!
//! ```console
//! $ export COZE_PKCE_OAUTH_CLIENT_ID=…
//! $ export COZE_WEB_OAUTH_REDIRECT_URI=http://127.0.0.1:8080/callback   # as registered with the app
//! $ cargo run --example auth_oauth_pkce_blocking -- [FOLDER]
//! ```

use coze_auth::blocking::{Client, TokenSource};
use coze_auth::{Error, Region, environment, loopback::Login, store::FileStore};

fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "coze-grants".into());
    let settings = environment(Region::Cn);
    let (app, redirect) = (settings.pkce_app()?, settings.pkce_redirect_uri()?);
    let (client, store) = (Client::new()?, FileStore::new(&folder)?); // a folder for this user alone
    let tokens = TokenSource::stored(&client, app.clone(), "me", store)?;
    if tokens.token().is_err_and(|error| error.needs_login()) {
        let call = Login::new(&app, &redirect).wait_blocking()?; // tells the address, opens it, and waits
        tokens.install(client.run(call)?)?; // from here on `tokens` renews it
    }
    let user = tokens.whoami()?;
    println!("logged in as {}, kept in {folder}", user.user_name);
    tokens.close()
}
