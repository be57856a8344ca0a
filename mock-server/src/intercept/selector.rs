//! The selector of a gate, a fault or a script: which requests it acts on.

use serde::Deserialize;

use crate::limits::MAX_PARAMETER;
use crate::protocol::endpoint::ENDPOINTS;
use crate::protocol::request::Incoming;
use crate::protocol::{client_id, grant};

/// A selector of requests to the data plane: what a gate, a fault or a script acts on.
///
/// ```
/// use coze_auth_mock::On;
///
/// let refreshes_of_an_app = On::grant("refresh_token").client("1234.app.coze");
/// assert_ne!(refreshes_of_an_app, On::token()); // every token request
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct On {
    pub(crate) endpoint: &'static str,
    pub(crate) grant: Option<&'static str>,
    pub(crate) client: Option<String>,
    pub(crate) path: Option<String>,
}

impl On {
    /// Selects all requests to the token endpoint.
    #[must_use]
    pub const fn token() -> Self {
        Self {
            endpoint: "token",
            grant: None,
            client: None,
            path: None,
        }
    }

    /// Selects the requests to a token endpoint of one grant type: `authorization_code`, `refresh_token`, `device_code` or
    /// `jwt_bearer`, or of a workload `client_credentials` or `token_exchange`, as the journal names them.
    ///
    /// # Panics
    ///
    /// If the grant type is unknown.
    #[must_use]
    pub fn grant(name: &str) -> Self {
        let of_workload = grant::WORKLOAD_GRANTS
            .iter()
            .any(|(_, known)| *known == name);
        let endpoint = if of_workload {
            "workload_token"
        } else {
            "token"
        };
        Self::named(endpoint, Some(name), None).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Selects the requests to one endpoint: `authorize`, `token`, `device_code`, `workload_token`, `integration`,
    /// `project_env`, `users_me`, `workspaces`, `api` or `unknown`, as the journal names them.
    ///
    /// # Panics
    ///
    /// If the endpoint is unknown.
    #[must_use]
    pub fn endpoint(name: &str) -> Self {
        Self::named(name, None, None).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Restricts the selection to requests that claim this client id (for the JWT grant: this issuer).
    ///
    /// # Panics
    ///
    /// If requests to this endpoint do not name a client.
    #[must_use]
    pub fn client(self, client_id: &str) -> Self {
        let path = self.path;
        let on = Self::named(self.endpoint, self.grant, Some(client_id));
        let on = on.unwrap_or_else(|problem| panic!("{problem}"));
        Self { path, ..on }
    }

    /// Restricts the selection to requests of this path, character for character, without their query.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Makes a selector of these names. The error lists the known names, and does not quote the others.
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
            return Err(format!("client_id is only for the endpoints {all}"));
        }
        let client = client.map(str::to_owned);
        let Some(grant) = grant else {
            return Ok(Self {
                endpoint,
                grant: None,
                client,
                path: None,
            });
        };
        let of_endpoint = match endpoint {
            "workload_token" => &grant::WORKLOAD_GRANTS[..],
            "token" => &grant::GRANTS,
            _ => &[],
        };
        let found = of_endpoint.iter().find(|(_, known)| *known == grant);
        let Some((_, found)) = found else {
            let names = |grants: &[(&str, &'static str)]| {
                let names: Vec<_> = grants.iter().map(|(_, name)| *name).collect();
                names.join(", ")
            };
            return Err(format!(
                "grant is one of {}, and only for the endpoint token; or of {}, and only for workload_token",
                names(&grant::GRANTS),
                names(&grant::WORKLOAD_GRANTS)
            ));
        };
        Ok(Self {
            endpoint,
            grant: Some(found),
            client,
            path: None,
        })
    }

    pub(crate) fn matches(&self, request: &Incoming) -> bool {
        let is = |expected: Option<&str>, actual: &dyn Fn() -> Option<String>| {
            expected.is_none_or(|expected| actual().as_deref() == Some(expected))
        };
        self.endpoint == request.endpoint().name()
            && self.path.as_ref().is_none_or(|path| *path == request.path)
            && is(self.grant, &|| {
                client_id::grant_of(request).map(str::to_owned)
            })
            && is(self.client.as_deref(), &|| client_id::client_of(request))
    }
}

/// The member `on` of a gate, a fault or a script in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectorSpec {
    endpoint: String,
    grant: Option<String>,
    client_id: Option<String>,
    path: Option<String>,
}

impl SelectorSpec {
    pub(crate) fn on(self) -> Result<On, String> {
        let on = On::named(
            &self.endpoint,
            self.grant.as_deref(),
            self.client_id.as_deref(),
        )?;
        match self.path {
            Some(path) if path.len() > MAX_PARAMETER => {
                Err(format!("path has at most {MAX_PARAMETER} bytes"))
            }
            path => Ok(On { path, ..on }),
        }
    }
}
