//! A service access token (服务访问令牌, SAT), in a request of the service's own.
//!
//! ```console
//! $ export COZE_API_TOKEN=sat_…
//! $ cargo run --example auth_sat
//! ```

use coze_auth::{Client, Region, TokenSource, environment, reqwest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let settings = environment(Region::Cn);
    let endpoints = settings.endpoints()?;
    let tokens = TokenSource::fixed(&Client::new()?, &endpoints, settings.access_token()?);

    let http = reqwest::Client::new(); // your own
    let request = http.get(format!("{}/v1/users/me", endpoints.api_base()));
    let answer = tokens.send(&http, request).await?; // the token goes to the API, and nowhere else
    println!("{}", answer.status());
    Ok(())
}
