//! Which requests a gate, a fault or a script is for.

use serde::Deserialize;

use crate::protocol::endpoint::{ENDPOINTS, Endpoint};
use crate::protocol::request::Incoming;
use crate::protocol::{client_id, grant};

/// Which requests to the data plane are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct On {
    pub(crate) endpoint: &'static str,
    pub(crate) grant: Option<&'static str>,
    pub(crate) client: Option<String>,
}

impl On {
    /// Every request to the token endpoint.
    #[must_use]
    pub const fn token() -> Self {
        Self {
            endpoint: "token",
            grant: None,
            client: None,
        }
    }

    /// Requests to the token endpoint for one grant: `authorization_code`, `refresh_token`,
    /// `device_code` or `jwt_bearer`, as the journal names them.
    ///
    /// # Panics
    ///
    /// If there is no such grant.
    #[must_use]
    pub fn grant(name: &str) -> Self {
        Self::named("token", Some(name), None).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Requests to one endpoint: `authorize`, `token`, `device_code`, `users_me` or `unknown`, as
    /// the journal names them.
    ///
    /// # Panics
    ///
    /// If there is no such endpoint.
    #[must_use]
    pub fn endpoint(name: &str) -> Self {
        Self::named(name, None, None).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Of these, the requests of one client id (for JWT the issuer), as they say themselves.
    ///
    /// # Panics
    ///
    /// If requests to this endpoint name no client.
    #[must_use]
    pub fn client(self, client_id: &str) -> Self {
        Self::named(self.endpoint, self.grant, Some(client_id))
            .unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The error tells which names there are, and quotes none that came.
    pub(crate) fn named(
        endpoint: &str,
        grant: Option<&str>,
        client: Option<&str>,
    ) -> Result<Self, String> {
        let names = ENDPOINTS;
        let known = names.into_iter().find(|known| *known == endpoint);
        let endpoint = known.ok_or_else(|| format!("endpoint is one of {}", names.join(", ")))?;
        let clients = client_id::NAME_THEIR_CLIENT;
        if client.is_some() && !clients.contains(&endpoint) {
            let all = clients.join(", ");
            return Err(format!("client_id is of the endpoints {all}"));
        }
        let client = client.map(str::to_owned);
        let Some(grant) = grant else {
            return Ok(Self {
                endpoint,
                grant: None,
                client,
            });
        };
        let mut grants = grant::GRANTS.into_iter().map(|(_, name)| name);
        match grants.clone().find(|known| *known == grant) {
            Some(found) if endpoint == "token" => Ok(Self {
                endpoint,
                grant: Some(found),
                client,
            }),
            _ => {
                let first = grants.next().unwrap_or_default();
                let all = grants.fold(first.to_owned(), |all, name| format!("{all}, {name}"));
                Err(format!("grant is one of {all}, and of the endpoint token"))
            }
        }
    }

    pub(crate) fn matches(&self, request: &Incoming) -> bool {
        let is = |wanted: Option<&str>, came: &dyn Fn() -> Option<String>| {
            wanted.is_none_or(|wanted| came().as_deref() == Some(wanted))
        };
        self.endpoint == Endpoint::of(&request.path).name()
            && is(self.grant, &|| {
                grant::grant_of(&request.body).map(str::to_owned)
            })
            && is(self.client.as_deref(), &|| client_id::client_of(request))
    }
}

/// The `on` of a gate, a fault or a script that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectorSpec {
    endpoint: String,
    grant: Option<String>,
    client_id: Option<String>,
}

impl SelectorSpec {
    pub(crate) fn on(&self) -> Result<On, String> {
        On::named(
            &self.endpoint,
            self.grant.as_deref(),
            self.client_id.as_deref(),
        )
    }
}
