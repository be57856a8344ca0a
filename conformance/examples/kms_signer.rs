//! `cargo run -p coze-auth-conformance --example kms_signer`: a JWT app whose key lies in a KMS, and is replaced while the
//! program runs, against an embedded mock server. Nothing leaves this machine: the KMS is a task.

use std::error::Error;
use std::time::Duration;

use coze_auth_core::Endpoints;
use coze_auth_core::error::SigningError;
use coze_auth_core::jwt::{JwtGrant, JwtIssuer, RsaKey, Signer as _};
use coze_auth_mock::{Builder, CozeAuthMock};
use coze_auth_reqwest::{AsyncJwtApp, AsyncSigner, Client, JwtKeys, TokenSource};
use tokio::sync::{mpsc, oneshot};

const APP: &str = "1000000001";

/// What your KMS has: asked over the network, it signs, and does not give the key out.
struct Kms {
    requests: mpsc::Sender<Request>,
}

/// What to sign, and where the signature goes.
type Request = (Vec<u8>, oneshot::Sender<Signature>);
type Signature = Result<Vec<u8>, SigningError>;

/// A key of a KMS.
impl AsyncSigner for Kms {
    async fn sign_rs256(&self, message: &[u8]) -> Signature {
        let down = || SigningError::passing("the KMS does not answer"); // it is asked again
        let (answer, answered) = oneshot::channel();
        let request = (message.to_vec(), answer);
        self.requests.send(request).await.map_err(|_| down())?;
        answered.await.map_err(|_| down())?
    }
}

impl Kms {
    /// With the key in a task of its own, which takes its time as a network does.
    fn with(key: RsaKey) -> Self {
        let (requests, mut arrives) = mpsc::channel::<Request>(16);
        tokio::spawn(async move {
            while let Some((message, answer)) = arrives.recv().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let _gone = answer.send(key.sign_rs256(&message));
            }
        });
        Self { requests }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (old, new) = (key_pair()?, key_pair()?);
    let mock = console(&[("old", &old)])?.start().await?;
    let issuer = JwtIssuer::new(Endpoints::custom(mock.base_url())?, APP, "old")?;
    let kms = Kms::with(RsaKey::from_pem(&old.serialize_pem())?);

    let keys =
        JwtKeys::new(AsyncJwtApp::new(issuer.clone(), kms)).sign_within(Duration::from_secs(5));
    let client = Client::new()?;
    let tokens = TokenSource::jwt_async(&client, &keys, JwtGrant::new()); // keep it
    println!(
        "with the key {}: {}",
        keys.key_id(),
        name_of(&tokens).await?
    );

    // The program is told of the new key before Coze's console is: the old one goes on.
    let kms = Kms::with(RsaKey::from_pem(&new.serialize_pem())?);
    keys.replace(AsyncJwtApp::new(issuer.with_key_id("new")?, kms))?;
    println!(
        "replaced too early: {}",
        name_of(&tokens.session("user-1")?).await?
    );
    println!("with the key {}", keys.key_id());

    // The console has the new one alone.
    mock.reload(console(&[("new", &new)])?)?;
    println!(
        "replaced in the console: {}",
        name_of(&tokens.session("user-2")?).await?
    );
    println!("with the key {}", keys.key_id());

    println!("the server saw:");
    for entry in mock.requests() {
        println!("  {} {}", entry.endpoint, entry.outcome.status);
    }
    Ok(tokens.close().await?)
}

/// Whose token it is.
async fn name_of(tokens: &TokenSource) -> Result<String, Box<dyn Error>> {
    Ok(tokens.whoami().await?.user_name.to_string())
}

fn key_pair() -> Result<rcgen::KeyPair, rcgen::Error> {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)
}

/// Coze's console, where the app has these keys.
fn console(keys: &[(&str, &rcgen::KeyPair)]) -> Result<Builder, Box<dyn Error>> {
    let keys = keys.iter().map(|(id, key)| {
        let pem = key.public_key_pem();
        format!("{{ kid = \"{id}\", public_pem = \"\"\"{pem}\"\"\" }}")
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    let app = format!("[[app]]\nkind = \"jwt\"\nclient_id = \"{APP}\"\nkeys = [{keys}]");
    Ok(CozeAuthMock::builder().toml(&app)?)
}
