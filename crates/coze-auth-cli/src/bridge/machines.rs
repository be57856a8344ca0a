//! The clients that get machine tokens: who they are, and the key that signs for them.

use std::fmt;
use std::path::Path;

use coze_auth::ClientSecret;
use coze_auth::endpoint::identifier;
use coze_auth::error::holds_secret;
use coze_auth::jwt::JwtApp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::refusal::Refusal;
use crate::failure::{Failure, Kind};

/// In bytes. A shorter one can be guessed: nothing counts the attempts, since the bridge keeps nothing.
const SHORTEST_SECRET: usize = 24;

/// The JWT app, and who may have a token of it.
pub(super) struct Machines {
    app: JwtApp,
    /// Of each client the id, and the digest of its secret: the secret itself is not kept.
    clients: Vec<(String, [u8; 32])>,
}

impl Machines {
    /// Reads the file of clients.
    ///
    /// # Errors
    ///
    /// Settings, by the name of the file and the client.
    pub(super) fn read(file: &Path, app: JwtApp) -> Result<Self, Failure> {
        let shown = file.display().to_string();
        let settings = |text: String| Failure::new(Kind::Settings, text);
        if holds_secret(&shown) {
            return Err(settings(
                "--machine-clients is the path of a file, and seems to be a secret".to_owned(),
            ));
        }
        let text = std::fs::read(file).map(Zeroizing::new);
        let text = text.map_err(|error| settings(format!("{shown} cannot be read: {error}")))?;
        let Pairs(pairs) = serde_json::from_slice(&text).map_err(|error| {
            // The parser's own message may quote a secret.
            settings(format!(
                "{shown}, line {}, column {}: it is not an object of client ids and client secrets, such as \
                 {{\"grafana\": \"…\"}}",
                error.line(),
                error.column()
            ))
        })?;
        let mut clients: Vec<(String, [u8; 32])> = Vec::new();
        for (id, secret) in pairs {
            let id = identifier("client id", id)
                .map_err(|error| settings(format!("{shown}: {error}")))?;
            if !is_plain(&id) || id.contains(':') {
                return Err(settings(format!(
                    "{shown}: the client id {id} is not made of visible characters of ASCII, without % and colon, which libraries \
                     write in two ways"
                )));
            }
            if secret.len() < SHORTEST_SECRET || !is_plain(&secret) {
                return Err(settings(format!(
                    "{shown}: the secret of client {id} is not at least {SHORTEST_SECRET} visible characters of ASCII, \
                     without %; openssl rand -hex 32 makes one"
                )));
            }
            // What is refused as Coze's secret is none of ours, too: "your-…", "${…}".
            if ClientSecret::new(secret.as_str()).is_err() {
                return Err(settings(format!(
                    "{shown}: the secret of client {id} is a placeholder, or was copied along with something; openssl rand -hex 32 makes one"
                )));
            }
            if clients.iter().any(|(there, _)| *there == id) {
                return Err(settings(format!("{shown}: the client {id} is there twice")));
            }
            clients.push((id, digest(&secret)));
        }
        if clients.is_empty() {
            return Err(settings(format!("{shown} has no client")));
        }
        Ok(Self { app, clients })
    }

    pub(super) const fn len(&self) -> usize {
        self.clients.len()
    }

    /// The app whose key signs, for a client that proves itself. The time does not tell whether the client is unknown or the secret
    /// wrong, nor where the secret differs.
    ///
    /// # Errors
    ///
    /// `invalid_client`.
    pub(super) fn app(&self, id: &str, secret: Option<&str>) -> Result<&JwtApp, Refusal> {
        let shown = digest(secret.unwrap_or_default());
        let admitted = self
            .clients
            .iter()
            .fold(Choice::from(0), |admitted, (own, secret)| {
                admitted | (digest(own).ct_eq(&digest(id)) & secret.ct_eq(&shown))
            });
        if secret.is_none() || !bool::from(admitted) {
            return Err(Refusal::client(
                "the client id or the client secret is not one that this bridge has for client_credentials: they are those of its \
                 file --machine-clients, and not those of an app of Coze's console",
            ));
        }
        Ok(&self.app)
    }
}

impl fmt::Debug for Machines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machines")
            .field("app", &self.app)
            .field("clients", &self.clients.len())
            .finish()
    }
}

/// Returns true if a library that encodes it (RFC 6749 §2.3.1) and one that does not mean the same.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'%')
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The members of an object in their order, the same name twice included.
struct Pairs(Vec<(String, Zeroizing<String>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((id, secret)) = map.next_entry::<String, String>()? {
                    pairs.push((id, Zeroizing::new(secret)));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
