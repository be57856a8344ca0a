//! `auth_workload`, blocking.
//!
//! ```console
//! $ export COZE_WORKLOAD_IDENTITY_CLIENT_ID=… COZE_WORKLOAD_IDENTITY_CLIENT_SECRET=…
//! $ export COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT=… COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT=… COZE_OUTBOUND_AUTH_ENDPOINT=…
//! $ cargo run --example auth_workload_blocking
//! ```

use coze_auth::blocking::{Client, TokenSource};
use coze_auth::{Error, Region, environment};

fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let client = Client::new()?; // keep one
    let tokens = TokenSource::workload(&client, environment(Region::Cn).workload_app()?); // keep it
    let variables = tokens.project_env()?; // passwords are among them: only names are printed
    println!("{} variables", variables.iter().count());

    let credential = tokens.integration("integration-feishu-base")?; // one that is enabled for the project
    println!("a credential of {} characters", credential.expose().len());
    tokens.close()
}
