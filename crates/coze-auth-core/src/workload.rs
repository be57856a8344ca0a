//! Workloads: a project on Coze's coding platform (扣子编程) is given a client id and a client secret, and gets an access
//! token with them in two requests. No person, no refresh token. With the token it asks for the credentials of its
//! integrations and for its project's variables (protocol §15).

mod endpoints;
mod grant;
mod lane;
mod project;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::Uri;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use zeroize::Zeroizing;

pub use self::endpoints::WorkloadEndpoints;
pub use self::grant::WorkloadCall;
pub use self::lane::Lane;
pub use self::project::{IntegrationCredential, ProjectEnv, ProjectVariable};
use crate::access_token::AccessToken;
use crate::endpoint::{copied, identifier};
use crate::error::{ConfigError, GrantType, Problem};
use crate::flow::Call;
use crate::secret::{ClientSecret, Hidden};
use crate::wire::{JSON, Outgoing, json};

/// A project's workload identity: which it is, the secret to prove it, and where its requests go.
///
/// ```
/// # use coze_auth_core::{*, workload::*};
/// # use std::time::Duration;
/// # fn main() -> Result<(), Error> {
/// # let now = Now { unix: UnixTime::from_secs(1_790_000_000), steady: SteadyTime::from_duration(Duration::ZERO) };
/// # let answer = |json: &str| Ok(Response::new(json.as_bytes().to_vec().into()));
/// let secret = ClientSecret::new("of-the-platform")?;
/// let app = WorkloadApp::new(WorkloadEndpoints::cn(), "0123456789abcdef", secret)?; // or `Environment::workload_app`
/// let mut call = app.grant(); // drive it: it sends two requests and gives a `TokenGrant`
/// # let Step::Send(request) = call.step(now) else { panic!() };
/// # assert_eq!(request.uri(), "https://api.coze.cn/.well-known/token");
/// # call.receive(answer(r#"{"access_token":"id.to.ken"}"#), now);
/// # let Step::Send(request) = call.step(now) else { panic!() };
/// # call.receive(answer(r#"{"access_token":"a","expires_in":900}"#), now);
/// # let Step::Done(grant) = call.step(now) else { panic!() };
/// # let grant = grant?;
/// let token = grant.access_token;
/// let mut call = app.integration(&token, "integration-feishu-base")?;
/// # let Step::Send(request) = call.step(now) else { panic!() };
/// # call.receive(answer(r#"{"code":0,"data":{"credential":"t-1"}}"#), now);
/// # let Step::Done(credential) = call.step(now) else { panic!() };
/// # let credential = credential?;
/// assert_eq!(credential.expose(), "t-1");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct WorkloadApp {
    endpoints: WorkloadEndpoints,
    client_id: String,
    secret: ClientSecret,
    lane: Lane,
    /// The secret in every spelling that a server may quote.
    spellings: Arc<[Hidden]>,
}

impl WorkloadApp {
    /// A workload as the platform's environment describes it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the client id is empty or has control characters.
    pub fn new(
        endpoints: WorkloadEndpoints,
        client_id: impl Into<String>,
        secret: ClientSecret,
    ) -> Result<Self, ConfigError> {
        let client_id = copied("client id", client_id)?;
        Ok(Self {
            spellings: spellings(&client_id, &secret),
            endpoints,
            client_id,
            secret,
            lane: Lane::default(),
        })
    }

    /// The same workload on a lane of Coze's.
    #[must_use]
    pub fn with_lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Which workload it is.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where its requests go.
    pub fn endpoints(&self) -> &WorkloadEndpoints {
        &self.endpoints
    }

    /// The lane that its requests name.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Everything that decides whose token a [`grant`](Self::grant) gives, as JSON that is the same in each process: for the name under
    /// which several of them share the token. The secret is not in it.
    ///
    /// ```
    /// # use coze_auth_core::{ClientSecret, error::ConfigError, workload::{Lane, WorkloadApp, WorkloadEndpoints}};
    /// # fn main() -> Result<(), ConfigError> {
    /// let app = WorkloadApp::new(WorkloadEndpoints::cn(), "0123456789abcdef", ClientSecret::new("of-the-platform")?)?;
    /// assert!(!app.token_identity().contains("of-the-platform"));
    /// assert_ne!(app.token_identity(), app.with_lane(Lane::new("ppe_new")?).token_identity());
    /// # Ok(()) }
    /// ```
    pub fn token_identity(&self) -> String {
        #[derive(Serialize)]
        struct TokenIdentity<'a> {
            kind: &'static str,
            identity: &'a str,
            access: &'a str,
            outbound: Option<&'a str>,
            client_id: &'a str,
            lane: Option<&'a str>,
        }
        let identity = TokenIdentity {
            kind: "workload",
            identity: self.endpoints.identity(),
            access: self.endpoints.access(),
            outbound: self.endpoints.outbound(),
            client_id: &self.client_id,
            lane: self.lane.as_str(),
        };
        json(&identity)
    }

    /// Asks for an access token, in two requests: the client id and secret for an id token, and that for the access
    /// token. Ended by any failure, whose [`Error::grant_type`](crate::Error::grant_type) names the step. Nothing is spent by either,
    /// so another attempt is another call.
    ///
    /// The id token is wiped when the second answer is there, or when the call is dropped; nothing else has it.
    pub fn grant(&self) -> WorkloadCall {
        WorkloadCall::of(self.clone())
    }

    /// Asks for the credential of an integration (集成) of the project, such as `integration-feishu-base`.
    ///
    /// Coze answers 500 if the integration is not enabled for the project, or not known, so that is final:
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings). How long the credential lives is not said; ask again when its service refuses it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the outbound endpoint is not named; if the name is empty, longer than 256 bytes, or has white space around
    /// it or invisible characters.
    pub fn integration(
        &self,
        token: &AccessToken,
        name: impl Into<String>,
    ) -> Result<Call<IntegrationCredential>, ConfigError> {
        const WHAT: &str = "integration name";
        const LONGEST: usize = 256;
        #[derive(Serialize)]
        struct IntegrationRequest<'a> {
            integration_name: &'a str,
        }
        let name = identifier(WHAT, name)?;
        if name.len() > LONGEST {
            return Err(ConfigError::new(WHAT, Problem::TooLong(LONGEST)));
        }
        let uri = self.outbound(WorkloadEndpoints::integration)?;
        let body = IntegrationRequest {
            integration_name: &name,
        };
        let mut request = self.dressed(Outgoing::post(uri, Some(token.bearer()), &body));
        request.is_of_integration = true;
        Ok(Call::new(request, |answer, _now| {
            IntegrationCredential::read(answer)
        }))
    }

    /// Asks for the variables of the project.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the outbound endpoint is not named.
    pub fn project_env(&self, token: &AccessToken) -> Result<Call<ProjectEnv>, ConfigError> {
        let uri = self.outbound(WorkloadEndpoints::project_env)?;
        // Without a body, and with a type of one, as the official client has it (protocol §15.2).
        let request = Outgoing::get(uri, token.bearer()).with(CONTENT_TYPE, JSON);
        Ok(Call::new(self.dressed(request), |answer, _now| {
            ProjectEnv::read(answer)
        }))
    }

    /// Step 1 of a grant.
    fn for_id_token(&self) -> Outgoing {
        let members = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.secret.expose()),
            ("grant_type", "client_credentials"),
        ];
        let request = Outgoing::form(self.endpoints.identity_uri(), &members);
        self.dressed(request).trading(GrantType::ClientCredentials)
    }

    /// Step 2 of a grant. The secret is not sent again.
    fn for_access_token(&self, id_token: Hidden) -> Outgoing {
        let members = [
            ("client_id", self.client_id.as_str()),
            ("subject_token", id_token.expose()),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token",
            ),
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
        ];
        let request = Outgoing::form(self.endpoints.access_uri(), &members);
        let request = self.dressed(request).knowing([id_token]);
        request.trading(GrantType::TokenExchange)
    }

    fn outbound(
        &self,
        uri: impl FnOnce(&WorkloadEndpoints) -> Option<Uri>,
    ) -> Result<Uri, ConfigError> {
        uri(&self.endpoints).ok_or_else(|| {
            ConfigError::new(
                "outbound endpoint (COZE_OUTBOUND_AUTH_ENDPOINT)",
                Problem::Missing,
            )
        })
    }

    /// With the lane, and with what must not be quoted.
    fn dressed(&self, request: Outgoing) -> Outgoing {
        let request = request.knowing(self.spellings.iter().cloned());
        self.lane.put_on(request)
    }
}

impl fmt::Debug for WorkloadApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadApp")
            .field("endpoints", &self.endpoints)
            .field("client_id", &self.client_id)
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}

/// The secret, and the API key that the platform sets beside it: base64 of the id, a colon and the secret (protocol §15.6).
fn spellings(client_id: &str, secret: &ClientSecret) -> Arc<[Hidden]> {
    let pair = Zeroizing::new(format!("{client_id}:{}", secret.expose()));
    let api_key = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .map(|spelling| Hidden::new(spelling.encode(&*pair)));
    [Hidden::new(secret.expose())]
        .into_iter()
        .chain(api_key)
        .collect()
}
