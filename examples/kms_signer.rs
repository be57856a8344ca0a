//! A JWT app whose key lies in a KMS or HSM, which signs over the network and does not give the key out. Here the KMS is a task, with the key of the
//! environment.
//!
//! ```console
//! $ export COZE_JWT_OAUTH_CLIENT_ID=… COZE_JWT_OAUTH_PUBLIC_KEY_ID=…
//! $ export COZE_JWT_OAUTH_PRIVATE_KEY="$(cat private_key.pem)"
//! $ cargo run --example kms_signer
//! ```

use std::time::Duration;

use coze_auth::error::SigningError;
use coze_auth::jwt::{JwtGrant, RsaKey, Signer as _};
use coze_auth::{
    AsyncJwtApp, AsyncSigner, Client, Error, JwtKeys, Region, TokenSource, environment,
};
use tokio::sync::{mpsc, oneshot};

/// A key of the KMS: what is to be signed goes there.
struct KmsKey(mpsc::Sender<Asked>);

/// The message, and where the signature goes.
type Asked = (Vec<u8>, oneshot::Sender<Result<Vec<u8>, SigningError>>);

impl AsyncSigner for KmsKey {
    async fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let down = || SigningError::passing("the KMS does not answer"); // it is asked again
        let (answer, answered) = oneshot::channel();
        let asked = self.0.send((message.to_vec(), answer)).await;
        asked.map_err(|_| down())?;
        answered.await.map_err(|_| down())?
    }
}

/// The KMS, which takes its time as a network does.
fn kms(key: RsaKey) -> KmsKey {
    let (ask, mut asked) = mpsc::channel::<Asked>(16);
    tokio::spawn(async move {
        while let Some((message, answer)) = asked.recv().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let _gone = answer.send(key.sign_rs256(&message));
        }
    });
    KmsKey(ask)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let (issuer, pem) = environment(Region::Cn).jwt_issuer(|path| std::fs::read_to_string(path))?;
    let app = AsyncJwtApp::new(issuer, kms(pem.rsa_key()?));
    let keys = JwtKeys::new(app).sign_within(Duration::from_secs(5)); // `keys.replace(app)` while it runs
    let client = Client::new()?;
    let tokens = TokenSource::jwt_async(&client, &keys, JwtGrant::new()); // keep it
    let user = tokens.whoami().await?;
    println!("{}, signed by the key {}", user.user_name, keys.key_id());
    tokens.close().await
}
