//! JWT apps: a server signs an assertion with the app's private key and gets a token for it. No person,
//! no refresh token; each assertion is good for one attempt (protocol §5).

mod claims;
#[cfg(feature = "rs256-aws-lc")]
mod der;
mod grant;
#[cfg(feature = "rs256-aws-lc")]
mod pem;
pub mod signer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde::Serialize;
use zeroize::Zeroizing;

pub use self::claims::SessionContext;
pub use self::grant::JwtGrant;
#[cfg(feature = "rs256-aws-lc")]
pub use self::signer::RsaKey;
pub use self::signer::Signer;
use crate::endpoint::{Endpoints, copied, identifier};
use crate::entropy::Entropy;
use crate::error::{ConfigError, Error, GrantType, Problem, SigningError, TransportFailure};
use crate::flow::{Call, Flow, Step};
use crate::scope::{Parts, Scope};
use crate::secret::Hidden;
use crate::time::{Now, SteadyTime, UnixTime};
use crate::token::TokenGrant;
use crate::wire::{Outgoing, Response, json};

/// How long an assertion is good for. Coze names no bound and its sample uses this (protocol §3.4, §5).
/// It has nothing to do with the life of the token.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Serialize)]
struct JwtRequest<'a> {
    grant_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a Parts>,
}

/// Who an assertion speaks for, without the key: the app, the key's id, the host it is meant for.
///
/// [`JwtApp`] adds a [`Signer`]. For one that must be awaited (a KMS), and a transport of your own, take the grant in two steps;
/// a token source does so by itself (`coze_auth_tokens::tokio::AsyncSigner`). The assertion's life counts from the first:
///
/// ```
/// # use coze_auth_core::{*, jwt::*};
/// # fn kms_sign(_: &[u8]) -> Vec<u8> { vec![0; 256] }
/// # fn main() -> Result<(), Error> {
/// # let now = Now { unix: UnixTime::from_secs(1_750_000_000), steady: SteadyTime::from_duration(Default::default()) };
/// let issuer = JwtIssuer::new(Endpoints::cn(), "1000000001", "key-fingerprint")?;
/// let unsigned = issuer.assertion(&JwtGrant::new(), Entropy::from_bytes([7; 32]), now); // fresh random bytes, of course
/// let signature = kms_sign(unsigned.signing_input()); // RSASSA-PKCS1-v1_5 with SHA-256; await it here
/// let call = unsigned.signed(&signature, now)?; // read the clock anew, then drive it: it gives a `TokenGrant`
/// # drop(call);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct JwtIssuer {
    endpoints: Endpoints,
    client_id: String,
    audience: String,
    lifetime: Duration,
    key_id: Arc<str>,
    /// The encoded header: the same in every assertion.
    header: Arc<str>,
}

impl JwtIssuer {
    /// An app as Coze's console shows it: the app id, and the fingerprint of its public key.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if an id is empty or has control characters.
    pub fn new(
        endpoints: Endpoints,
        client_id: impl Into<String>,
        key_id: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let key_id = copied("key id", key_id)?;
        Ok(Self {
            client_id: copied("client id", client_id)?,
            audience: endpoints.api_host(),
            lifetime: ASSERTION_LIFETIME,
            header: claims::header(&key_id).into(),
            key_id: key_id.into(),
            endpoints,
        })
    }

    /// The same app with another of its keys: while a key is replaced, Coze knows both.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the id is empty or has control characters.
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Result<Self, ConfigError> {
        let key_id = copied("key id", key_id)?;
        self.header = claims::header(&key_id).into();
        self.key_id = key_id.into();
        Ok(self)
    }

    /// The app's id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The id of the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// How long an assertion is good for.
    pub fn assertion_lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Where the app's requests go.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Another `aud` than the host (and port) of the API base: for a base that is only a way to Coze,
    /// such as a gateway of your own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is empty or has control characters.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Result<Self, ConfigError> {
        self.audience = identifier("audience", audience)?;
        Ok(self)
    }

    /// Another life of the assertion than ten minutes, in whole seconds. It is sent within a second of
    /// being made; the rest is for clocks that differ.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not from 1 second to a day: a longer one is a key left lying about.
    pub fn with_assertion_lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        const MAX: u64 = 86_400;
        if !(1..=MAX).contains(&lifetime.as_secs()) {
            return Err(ConfigError::new(
                "assertion lifetime",
                Problem::Seconds { min: 1, max: MAX },
            ));
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// An assertion to be signed, and the call that it is for.
    pub fn assertion(&self, grant: &JwtGrant, entropy: Entropy, now: Now) -> UnsignedAssertion {
        let body = JwtRequest {
            grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
            duration_seconds: grant.ttl.map(|ttl| ttl.as_secs()),
            scope: grant.scope.as_ref().map(Scope::parts),
        };
        let uri = self.url(grant);
        UnsignedAssertion {
            made_at: now.steady,
            lifetime: self.lifetime,
            input: claims::signing_input(self, grant, &entropy, now.unix),
            request: Outgoing::post(uri, None, &body).trading(GrantType::Assertion),
        }
    }

    /// Everything that decides whose token such a grant gives, and what that may do, as JSON that is the same in each process: for
    /// the name under which several of them share the token. It has no secret, and says nothing of who signs: another key of
    /// the app, or another life of the assertion, gives the same.
    ///
    /// ```
    /// # use coze_auth_core::{Endpoints, error::ConfigError, jwt::{JwtGrant, JwtIssuer}};
    /// # fn main() -> Result<(), ConfigError> {
    /// let issuer = JwtIssuer::new(Endpoints::cn(), "1000000001", "key-1")?;
    /// let alice = issuer.token_identity(&JwtGrant::new().session_name("alice")?);
    /// assert_ne!(alice, issuer.token_identity(&JwtGrant::new().session_name("bob")?));
    /// let renewed = issuer.with_key_id("key-2")?;
    /// assert_eq!(alice, renewed.token_identity(&JwtGrant::new().session_name("alice")?));
    /// # Ok(()) }
    /// ```
    pub fn token_identity(&self, grant: &JwtGrant) -> String {
        #[derive(Serialize)]
        struct TokenIdentity<'a> {
            kind: &'static str,
            url: &'a str,
            client_id: &'a str,
            audience: &'a str,
            session_name: Option<&'a str>,
            session_context: Option<claims::Context<'a>>,
            scope: Option<Parts>,
            duration_seconds: Option<u64>,
        }
        let identity = TokenIdentity {
            kind: "jwt",
            url: &self.url(grant).to_string(),
            client_id: &self.client_id,
            audience: &self.audience,
            session_name: grant.session_name.as_deref(),
            session_context: grant.session_context.as_ref().map(SessionContext::claim),
            scope: grant.scope.as_ref().map(Scope::in_order),
            duration_seconds: grant.ttl.map(|ttl| ttl.as_secs()),
        };
        json(&identity)
    }

    /// Where a grant is asked for.
    fn url(&self, grant: &JwtGrant) -> Uri {
        match (&grant.account, &grant.enterprise) {
            (Some(account), _) => self.endpoints.account_token(account),
            (None, Some(enterprise)) => self.endpoints.enterprise_token(enterprise),
            (None, None) => self.endpoints.token(),
        }
    }

    fn expiry(&self, issued_at: UnixTime) -> UnixTime {
        issued_at.plus(self.lifetime)
    }
}

impl fmt::Debug for JwtIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIssuer")
            .field("endpoints", &self.endpoints)
            .field("client_id", &self.client_id)
            .field("key_id", &self.key_id)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// An assertion without its signature.
#[must_use]
pub struct UnsignedAssertion {
    made_at: SteadyTime,
    lifetime: Duration,
    input: Zeroizing<String>,
    request: Outgoing,
}

impl UnsignedAssertion {
    /// What to sign with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 7515 §5.1, RS256).
    pub fn signing_input(&self) -> &[u8] {
        self.input.as_bytes()
    }

    /// Adds the signature: the call is good for one attempt, within the life of the assertion. `now` is read after the
    /// signing.
    ///
    /// # Errors
    ///
    /// [`SigningError`] if the signature is empty, and if the assertion has expired meanwhile: Coze would refuse it and name
    /// another reason. That [passes](SigningError::passing).
    pub fn signed(self, signature: &[u8], now: Now) -> Result<Call<TokenGrant>, SigningError> {
        if signature.is_empty() {
            return Err(SigningError::new("the signer gave an empty signature"));
        }
        let took = self.made_at.until(now.steady);
        if took >= self.lifetime {
            return Err(SigningError::passing(format!(
                "the signature was ready after {} s, and the assertion was good for {} s; nothing was sent",
                took.as_secs(),
                self.lifetime.as_secs()
            )));
        }
        let Self {
            input, mut request, ..
        } = self;
        let assertion = Hidden::new(claims::append_signature(&input, signature));
        request.bearer = Some(assertion.bearer());
        Ok(Call::new(request, |answer, now| {
            TokenGrant::read(&answer, now)
        }))
    }
}

impl fmt::Debug for UnsignedAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsignedAssertion")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A JWT app (JWT 授权): who it is, and the key to prove it.
///
/// ```
/// # use coze_auth_core::error::SigningError;
/// # use coze_auth_core::{Endpoints, Entropy, Error, Flow, Now, Step, SteadyTime, UnixTime, jwt::*};
/// # struct Key;
/// # impl Signer for Key {
/// #     fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> { Ok(vec![7; 256]) }
/// # }
/// # fn main() -> Result<(), Error> {
/// # let key = Key;
/// // `key` is an `RsaKey::from_pem(…)?`, or a `Signer` of yours.
/// let app = JwtApp::new(Endpoints::cn(), "1000000001", "key-fingerprint", key)?;
/// let mut call = app.grant(&JwtGrant::new().session_name("user-42")?, Entropy::from_bytes([7; 32])); // fresh random bytes
/// # let now = Now { unix: UnixTime::from_secs(1_790_000_000), steady: SteadyTime::from_duration(std::time::Duration::ZERO) };
/// let Step::Send(request) = call.step(now) else { panic!("it signs, and asks") }; // drive it: it gives a `TokenGrant`
/// assert!(request.headers()["authorization"].to_str().unwrap().starts_with("Bearer ey"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct JwtApp {
    issuer: JwtIssuer,
    signer: Arc<dyn Signer>,
}

impl JwtApp {
    /// An app as Coze's console shows it, and its key.
    ///
    /// # Errors
    ///
    /// As for [`JwtIssuer::new`].
    pub fn new(
        endpoints: Endpoints,
        client_id: impl Into<String>,
        key_id: impl Into<String>,
        signer: impl Signer + 'static,
    ) -> Result<Self, ConfigError> {
        Ok(Self::from_issuer(
            JwtIssuer::new(endpoints, client_id, key_id)?,
            signer,
        ))
    }

    /// An issuer with an audience or lifetime of its own, and its key.
    pub fn from_issuer(issuer: JwtIssuer, signer: impl Signer + 'static) -> Self {
        Self {
            issuer,
            signer: Arc::new(signer),
        }
    }

    /// The same app with another of its keys, under that key's id: while a key is replaced, Coze knows both, and
    /// [`Refused::may_be_the_key`](crate::error::Refused::may_be_the_key) tells when the other one is worth an attempt.
    ///
    /// # Errors
    ///
    /// As for [`JwtIssuer::with_key_id`].
    pub fn with_key(
        &self,
        key_id: impl Into<String>,
        signer: impl Signer + 'static,
    ) -> Result<Self, ConfigError> {
        let issuer = self.issuer.clone().with_key_id(key_id)?;
        Ok(Self::from_issuer(issuer, signer))
    }

    /// The app.
    pub fn client_id(&self) -> &str {
        &self.issuer.client_id
    }

    /// Where the app's requests go.
    pub fn endpoints(&self) -> &Endpoints {
        &self.issuer.endpoints
    }

    /// The app without its key.
    pub fn issuer(&self) -> &JwtIssuer {
        &self.issuer
    }

    /// Its key.
    pub fn signer(&self) -> &Arc<dyn Signer> {
        &self.signer
    }

    /// Asks for a token: one attempt, ended by any failure. For another attempt make another call, with
    /// entropy of its own: an assertion that was sent is spent.
    pub fn grant(&self, grant: &JwtGrant, entropy: Entropy) -> JwtCall {
        JwtCall {
            state: JwtState::Unsigned(Box::new((self.clone(), grant.clone(), entropy))),
        }
    }
}

impl fmt::Debug for JwtApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtApp")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// One attempt at a JWT grant. It signs at its first step, so that `iat` is the time of sending.
#[derive(Debug)]
#[must_use = "a call does nothing until it is driven"]
pub struct JwtCall {
    state: JwtState,
}

#[derive(Debug)]
enum JwtState {
    Unsigned(Box<(JwtApp, JwtGrant, Entropy)>),
    Signed(Box<Call<TokenGrant>>),
    Finished,
}

impl Flow for JwtCall {
    type Output = TokenGrant;

    fn step(&mut self, now: Now) -> Step<TokenGrant> {
        match std::mem::replace(&mut self.state, JwtState::Finished) {
            JwtState::Unsigned(parts) => {
                let (app, grant, entropy) = *parts;
                let unsigned = app.issuer.assertion(&grant, entropy, now);
                let signature = app.signer.sign_rs256(unsigned.signing_input());
                let signature = signature.map(Zeroizing::new);
                match signature.and_then(|signature| unsigned.signed(&signature, now)) {
                    Ok(call) => self.go_on(Box::new(call), now),
                    Err(error) => Step::Done(Err(error.into())),
                }
            }
            JwtState::Signed(call) => self.go_on(call, now),
            JwtState::Finished => Step::Done(Err(Error::FlowFinished)),
        }
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        if let JwtState::Signed(call) = &mut self.state {
            call.receive(reply, now);
        }
    }
}

impl JwtCall {
    fn go_on(&mut self, mut call: Box<Call<TokenGrant>>, now: Now) -> Step<TokenGrant> {
        let step = call.step(now);
        self.state = JwtState::Signed(call);
        step
    }
}
