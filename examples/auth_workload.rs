//! Workload identity (工作负载身份): a project on Coze's coding platform (扣子编程) gets its token, its integrations' credentials and its
//! variables. The platform sets what it needs:
//!
//! ```console
//! $ export COZE_WORKLOAD_IDENTITY_CLIENT_ID=… COZE_WORKLOAD_IDENTITY_CLIENT_SECRET=…
//! $ export COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT=… COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT=… COZE_OUTBOUND_AUTH_ENDPOINT=…
//! $ cargo run --example auth_workload
//! ```

use coze_auth::{Client, Error, Region, TokenSource, environment};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let client = Client::new()?; // keep one
    let tokens = TokenSource::workload(&client, environment(Region::Cn).workload_app()?); // keep it
    let variables = tokens.project_env().await?; // passwords are among them: only names are printed
    println!("{} variables", variables.iter().count());

    let credential = tokens.integration("integration-feishu-base").await?; // one that is enabled for the project
    println!("a credential of {} characters", credential.expose().len());
    tokens.close().await
}
