//! OAuth PKCE (PKCE 授权): a program without a backend logs a person in, in the browser of this machine, and takes the callback itself. The login is kept, so
//! that the next run asks nobody.
//!
//! ```console
//! $ export COZE_PKCE_OAUTH_CLIENT_ID=…
//! $ export COZE_WEB_OAUTH_REDIRECT_URI=http://127.0.0.1:8080/callback   # as registered with the app
//! $ cargo run --example auth_oauth_pkce -- [FOLDER]
//! ```
//!
//! Coze's own sample names the redirect URI so. `COZE_PKCE_OAUTH_REDIRECT_URI` comes first where it is set.

use coze_auth::{Client, Error, Region, TokenSource, environment};
use coze_auth::{loopback::Login, store::FileStore};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "coze-grants".into());
    let settings = environment(Region::Cn);
    let (app, redirect) = (settings.pkce_app()?, settings.pkce_redirect_uri()?);
    let (client, store) = (Client::new()?, FileStore::new(&folder)?); // a folder for this user alone
    let tokens = TokenSource::stored(&client, app.clone(), "me", store)?;
    if tokens.token().await.is_err_and(|error| error.needs_login()) {
        let call = Login::new(&app, &redirect).wait().await?; // tells the address, opens it, and waits
        tokens.install(client.run(call).await?).await?; // from here on `tokens` renews it
    }
    let user = tokens.whoami().await?;
    println!("logged in as {}, kept in {folder}", user.user_name);
    tokens.close().await
}
