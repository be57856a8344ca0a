//! The refresh request, the same for web, PKCE and device apps (protocol §2.4).

use serde::Serialize;

use crate::device::DeviceApp;
use crate::endpoint::Endpoints;
use crate::error::GrantType;
use crate::flow::Call;
use crate::pkce::PkceApp;
use crate::secret::{ClientSecret, RefreshToken};
use crate::token::TokenGrant;
use crate::web::WebApp;
use crate::wire::Outgoing;

#[derive(Serialize)]
struct RefreshRequest<'a> {
    grant_type: &'static str,
    client_id: &'a str,
    refresh_token: &'a str,
}

/// Trades a refresh token for a new grant. The token is spent by it; if the answer names no new one,
/// the grant keeps the old one rather than none.
pub(crate) fn refresh(
    endpoints: &Endpoints,
    client_id: &str,
    secret: Option<&ClientSecret>,
    token: &RefreshToken,
) -> Call<TokenGrant> {
    let body = RefreshRequest {
        grant_type: "refresh_token",
        client_id,
        refresh_token: token.expose(),
    };
    let request = Outgoing::post(endpoints.token(), secret.map(ClientSecret::bearer), &body);
    let old = token.clone();
    Call::new(
        request.trading(GrantType::RefreshToken),
        move |answer, now| {
            let mut grant = TokenGrant::read(&answer, now)?;
            grant.refresh_token.get_or_insert_with(|| old.clone());
            Ok(grant)
        },
    )
}

/// An app whose grants are renewed with a refresh token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RefreshApp {
    /// With a client secret.
    Web(WebApp),
    /// Without one.
    Pkce(PkceApp),
    /// Without a browser.
    Device(DeviceApp),
}

impl RefreshApp {
    /// Where the app's requests go.
    pub fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Web(app) => app.endpoints(),
            Self::Pkce(app) => app.endpoints(),
            Self::Device(app) => app.endpoints(),
        }
    }

    /// Which app it is.
    pub fn client_id(&self) -> &str {
        match self {
            Self::Web(app) => app.client_id(),
            Self::Pkce(app) => app.client_id(),
            Self::Device(app) => app.client_id(),
        }
    }

    /// Trades a refresh token for a new grant.
    pub fn refresh(&self, token: &RefreshToken) -> Call<TokenGrant> {
        match self {
            Self::Web(app) => app.refresh(token),
            Self::Pkce(app) => app.refresh(token),
            Self::Device(app) => app.refresh(token),
        }
    }
}

impl From<WebApp> for RefreshApp {
    fn from(app: WebApp) -> Self {
        Self::Web(app)
    }
}

impl From<PkceApp> for RefreshApp {
    fn from(app: PkceApp) -> Self {
        Self::Pkce(app)
    }
}

impl From<DeviceApp> for RefreshApp {
    fn from(app: DeviceApp) -> Self {
        Self::Device(app)
    }
}
