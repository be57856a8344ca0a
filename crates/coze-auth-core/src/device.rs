//! Device apps: a program without a browser shows a user code, a person approves it elsewhere, and the
//! program polls until they have (RFC 8628).

pub mod poll;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use self::poll::{DevicePoll, LastPoll, Progress};
use crate::endpoint::{Endpoints, WorkspaceId, absolute, copied};
use crate::envelope::Answer;
use crate::error::{ConfigError, Error, GrantType, is_invisible};
use crate::flow::Call;
use crate::refresh::refresh;
use crate::secret::{DeviceCode, RefreshToken};
use crate::time::{Now, SteadyTime};
use crate::token::TokenGrant;
use crate::wire::Outgoing;

/// A device app (设备码授权). It has no secret.
///
/// ```
/// # use coze_auth_core::{Endpoints, Error, Flow, Now, Response, Step, SteadyTime, UnixTime, device::DeviceApp};
/// # let now = Now { unix: UnixTime::from_secs(1_790_000_000), steady: SteadyTime::from_duration(std::time::Duration::ZERO) };
/// # fn run<F: Flow>(mut flow: F, now: Now) -> Result<F::Output, Error> {
/// #     let _ = flow.step(now);
/// #     let body = br#"{"device_code":"d","user_code":"MFRM-GZDF","verification_uri":"https://www.coze.cn/d","expires_in":300,"interval":5}"#;
/// #     flow.receive(Ok(Response::new(body.to_vec().into())), now);
/// #     match flow.step(now) { Step::Done(result) => result, other => panic!("{other:?}", other = matches!(other, Step::Send(_))) }
/// # }
/// let app = DeviceApp::new(Endpoints::cn(), "5678.app.coze")?;
/// let started = run(app.start(), now)?; // `run` is a driver: see the front page
/// assert_eq!(started.user_code, "MFRM-GZDF");
/// println!("enter {} at {}", started.user_code, started.verification_uri);
///
/// let mut poll = app.poll(&started); // drive it: it waits for the person, and gives a `TokenGrant`
/// assert!(matches!(poll.step(now), Step::Wait(_)));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeviceApp {
    endpoints: Endpoints,
    client_id: String,
}

impl DeviceApp {
    /// An app as Coze's console shows it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the client id is empty or has control characters.
    pub fn new(endpoints: Endpoints, client_id: impl Into<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoints,
            client_id: copied("client id", client_id)?,
        })
    }

    /// Asks for a device code and a user code.
    pub fn start(&self) -> Call<DeviceAuthorization> {
        self.start_at(None)
    }

    /// Like [`start`](Self::start), for a token that sees one workspace only (enterprise plans).
    pub fn start_in(&self, workspace: &WorkspaceId) -> Call<DeviceAuthorization> {
        self.start_at(Some(workspace))
    }

    fn start_at(&self, workspace: Option<&WorkspaceId>) -> Call<DeviceAuthorization> {
        #[derive(Serialize)]
        struct StartRequest<'a> {
            client_id: &'a str,
        }
        let body = StartRequest {
            client_id: &self.client_id,
        };
        let request = Outgoing::post(self.endpoints.device_code(workspace), None, &body);
        Call::new(request, |answer, now| {
            DeviceAuthorization::read(&answer, now)
        })
    }

    /// Polls until the person has answered or the code has expired. What to show them meanwhile comes from
    /// [`on_progress`](DevicePoll::on_progress).
    pub fn poll(&self, started: &DeviceAuthorization) -> DevicePoll {
        DevicePoll::new(self.poll_request(&started.device_code), started)
    }

    /// Asks once whether the person has answered, for who keeps the pauses otherwise: a server between a device and Coze. That
    /// they have not is [`Refused`](Error::Refused) with [`AuthorizationPending`](crate::error::ErrorCode::AuthorizationPending)
    /// or [`SlowDown`](crate::error::ErrorCode::SlowDown). Else take [`poll`](Self::poll), which never asks too often.
    pub fn poll_once(&self, code: &DeviceCode) -> Call<TokenGrant> {
        Call::new(self.poll_request(code), |answer, now| {
            TokenGrant::read(&answer, now)
        })
    }

    fn poll_request(&self, code: &DeviceCode) -> Outgoing {
        #[derive(Serialize)]
        struct PollRequest<'a> {
            client_id: &'a str,
            grant_type: &'static str,
            device_code: &'a str,
        }
        let body = PollRequest {
            client_id: &self.client_id,
            grant_type: "urn:ietf:params:oauth:grant-type:device_code",
            device_code: code.expose(),
        };
        let request = Outgoing::post(self.endpoints.token(), None, &body);
        request.trading(GrantType::DeviceCode)
    }

    /// Where the app's requests go.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Which app it is.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Trades a refresh token for a new grant, and spends it: store the new one before anything else.
    pub fn refresh(&self, token: &RefreshToken) -> Call<TokenGrant> {
        refresh(&self.endpoints, &self.client_id, None, token)
    }
}

/// A device authorization under way: show [`user_code`](Self::user_code) and
/// [`verification_uri`](Self::verification_uri), then poll. `Debug` shows neither code: who has the user code can answer in the person's place.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeviceAuthorization {
    /// What the program polls with.
    pub device_code: DeviceCode,
    /// What the person types, such as `VIK-AZC-ZTV`.
    pub user_code: String,
    /// The page where they type it.
    pub verification_uri: String,
    /// The same page with the user code filled in, for a link or QR code.
    pub verification_uri_complete: String,
    /// How long the codes live, from `received_at`.
    pub expires_in: Duration,
    /// The least pause between two polls.
    pub interval: Duration,
    /// When the answer arrived.
    pub received_at: SteadyTime,
}

/// The pause when the server names none (RFC 8628 §3.2, protocol §3.2).
const DEFAULT_INTERVAL: f64 = 5.0;
/// `expires_in` of a device code is a duration (protocol §3.2); what is longer than this is a moment.
const LONGEST: f64 = 1e9;

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("verification_uri", &self.verification_uri)
            .field("expires_in", &self.expires_in)
            .field("interval", &self.interval)
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

impl DeviceAuthorization {
    fn read(answer: &Answer<'_>, now: Now) -> Result<Self, Error> {
        let user_code = answer.text_or_number("user_code")?;
        if user_code.contains(is_invisible) {
            return Err(answer.bad("user_code"));
        }
        // It is opened in a browser: no `javascript:`, no `file:`, no user before an `@`.
        let page = |name, text: &str| absolute(text).ok_or_else(|| answer.bad(name));
        let verification_uri = page("verification_uri", &answer.text("verification_uri")?)?;
        let mut complete = verification_uri.clone();
        match answer.optional_text("verification_uri_complete")? {
            Some(given) => complete = page("verification_uri_complete", &given)?,
            // Coze gives none, but its page takes the code this way (protocol §3.2).
            None => {
                complete
                    .query_pairs_mut()
                    .append_pair("user_code", &user_code);
            }
        }
        let seconds = |name, secs: f64, least: f64| match (least..LONGEST).contains(&secs) {
            true => Ok(Duration::from_secs(secs as u64)),
            false => Err(answer.bad(name)),
        };
        let interval = answer.optional_number("interval")?;
        Ok(Self {
            device_code: DeviceCode::new(&*answer.text("device_code")?)
                .map_err(|_| answer.bad("device_code"))?,
            verification_uri: verification_uri.into(),
            verification_uri_complete: complete.into(),
            // Rounded to the side where nothing comes too early or too late.
            expires_in: seconds("expires_in", answer.number("expires_in")?, 1.0)?,
            interval: seconds("interval", interval.unwrap_or(DEFAULT_INTERVAL).ceil(), 0.0)?
                .max(Duration::from_secs(1)),
            received_at: now.steady,
            user_code,
        })
    }
}
