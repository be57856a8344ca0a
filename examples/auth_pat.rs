//! A personal access token (个人访问密钥, PAT), and whose it is.
//!
//! ```console
//! $ export COZE_API_TOKEN=pat_…
//! $ cargo run --example auth_pat
//! ```

use coze_auth::{Client, Error, Region, TokenSource, environment};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let client = Client::new()?; // keep one
    let settings = environment(Region::Cn);
    let tokens = TokenSource::fixed(&client, &settings.endpoints()?, settings.access_token()?);

    println!("{}", tokens.whoami().await?.user_name);
    Ok(())
}
