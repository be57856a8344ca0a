//! `auth_pat`, blocking.
//!
//! ```console
//! $ export COZE_API_TOKEN=pat_…
//! $ cargo run --example auth_pat_blocking
//! ```

use coze_auth::blocking::{Client, TokenSource};
use coze_auth::{Error, Region, environment};

fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let client = Client::new()?; // keep one
    let settings = environment(Region::Cn);
    let tokens = TokenSource::fixed(&client, &settings.endpoints()?, settings.access_token()?);

    println!("{}", tokens.whoami()?.user_name);
    Ok(())
}
