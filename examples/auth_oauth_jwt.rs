//! OAuth JWT (JWT 授权): a server asks for tokens with its key (私钥), for itself and for each of its end users.
//!
//! ```console
//! $ export COZE_JWT_OAUTH_CLIENT_ID=… COZE_JWT_OAUTH_PUBLIC_KEY_ID=…
//! $ export COZE_JWT_OAUTH_PRIVATE_KEY="$(cat private_key.pem)"
//! $ cargo run --example auth_oauth_jwt
//! ```

use std::time::Duration;

use coze_auth::jwt::JwtGrant;
use coze_auth::{Client, Error, Region, TokenSource, jwt_app_from_env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let client = Client::new()?; // keep one
    let grant = JwtGrant::new().ttl(Duration::from_secs(3600))?;
    let tokens = TokenSource::jwt(&client, jwt_app_from_env(Region::Cn)?, grant); // keep it
    println!("{}", tokens.whoami().await?.user_name);

    let token = tokens.session("user-42")?.token().await?; // valid, whenever you ask: no refresh token is needed
    println!("user-42 has a token of {} characters", token.expose().len());
    tokens.close().await
}
