//! Where a token may be sent.

use std::sync::Arc;

use coze_auth_core::Endpoints;
use coze_auth_core::endpoint::{origin, token_origin};
use coze_auth_core::error::ConfigError;
use coze_auth_core::http::Uri;
use coze_auth_core::http::uri::Scheme;
use coze_auth_core::workload::WorkloadEndpoints;

use crate::Error;
use crate::delivery::Refused;

/// The origin of the API, and others that were allowed by name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Origins(Arc<[String]>);

impl Origins {
    /// The API's own.
    pub fn of(endpoints: &Endpoints) -> Self {
        Self([endpoints.api_origin()].into())
    }

    /// Those of a workload: of the endpoint of integrations, and of the one that gives the token.
    pub(crate) fn of_workload(endpoints: &WorkloadEndpoints) -> Self {
        let urls = endpoints.outbound().into_iter().chain([endpoints.access()]);
        Self(urls.filter_map(origin).collect())
    }

    /// One more: the server that answers there gets the tokens. `insecure` lets it be `http` on any host.
    ///
    /// # Errors
    ///
    /// As for [`token_origin`].
    pub fn and(&self, url: &str, insecure: bool) -> Result<Self, ConfigError> {
        let other = token_origin(url, insecure)?;
        Ok(Self(self.0.iter().cloned().chain([other]).collect()))
    }

    /// # Errors
    ///
    /// [`Error::OtherOrigin`] if a token must not be sent there.
    pub fn check(&self, url: &str) -> Result<(), Error> {
        let to = origin(url);
        match to.as_ref().is_some_and(|to| self.0.contains(to)) {
            true => Ok(()),
            false => Err(Error::OtherOrigin {
                to: to.unwrap_or_else(|| "no web address".to_owned()),
                api: self.0[0].clone(),
            }),
        }
    }

    /// Where a request ended that was redirected in this way, if its token did not come along. An HTTP client drops the
    /// token at a redirect; one that `keeps_on_host` keeps it where the host stays the same, whatever the port, and https
    /// does not become http.
    ///
    /// # Errors
    ///
    /// [`Error::Redirected`] if the token went where it must not be sent.
    pub fn ended_without(&self, way: &[Uri], keeps_on_host: bool) -> Result<Option<Uri>, Error> {
        for (from, to) in way.iter().zip(way.iter().skip(1)) {
            let as_secure = from.scheme() == to.scheme() || to.scheme() == Some(&Scheme::HTTPS);
            if !(keeps_on_host && from.host() == to.host() && as_secure) {
                return Ok(way.last().cloned());
            }
            let to = to.to_string();
            self.check(&to).map_err(|_| Error::redirected(&to))?;
        }
        Ok(None)
    }

    /// What an answer is about that refuses a token, of an HTTP client that tells where a request ended, and not by which
    /// way.
    ///
    /// # Errors
    ///
    /// [`Error::Redirected`] if it ended where the token must not be sent: it may have gone along.
    pub fn refused_at(&self, asked: &str, ended: &str) -> Result<Refused, Error> {
        if asked == ended {
            return Ok(Refused::Token);
        }
        let ours = self.check(ended);
        ours.map_err(|_| Error::redirected(ended))?;
        Ok(Refused::Without(ended.to_owned()))
    }
}
