//! Where a workload's requests go: whole URLs, which the platform sets (protocol §15.1).

use std::fmt;

use http::Uri;
use url::Url;

use crate::endpoint::{Endpoints, endpoint, trimmed, uri};
use crate::error::ConfigError;

/// Where a workload's requests go: three whole URLs. They get its secret and its tokens, so each is checked as a base is.
///
/// ```
/// use coze_auth_core::{error::ConfigError, workload::WorkloadEndpoints};
///
/// # fn main() -> Result<(), ConfigError> {
/// let cn = WorkloadEndpoints::cn(); // as reported; none are known for .com
/// assert_eq!(cn.identity(), cn.access());
/// let own = WorkloadEndpoints::custom("https://gateway.example/id", "https://gateway.example/access")?
///     .with_outbound("https://gateway.example/secret/")?;
/// assert_eq!(own.outbound(), Some("https://gateway.example/secret"));
/// assert!(WorkloadEndpoints::custom("http://gateway.example/id", "https://gateway.example/access").is_err());
/// # Ok(()) }
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct WorkloadEndpoints {
    identity: Url,
    access: Url,
    outbound: Option<Url>,
    insecure: bool,
}

/// An endpoint, and the name of its setting.
pub(crate) type Named<'a> = (&'static str, &'a str);

const OUTBOUND: &str = "outbound endpoint";

impl WorkloadEndpoints {
    /// What the platform sets on .cn, as people report it: `https://api.coze.cn/.well-known/token` for both tokens, and
    /// `https://integration.coze.cn/api/v1/secret`. None are known for .com.
    pub fn cn() -> Self {
        Self {
            identity: constant("https://api.coze.cn/.well-known/token"),
            access: constant("https://api.coze.cn/.well-known/token"),
            outbound: Some(constant("https://integration.coze.cn/api/v1/secret")),
            insecure: false,
        }
    }

    /// The endpoint that gives the id token, and that which gives the access token. They may be one.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if one is not an `https` URL (`http` to this machine is allowed: 127.0.0.0/8, `[::1]`, `localhost`), has
    /// user info, a query or a fragment, is a host of Coze's alone or its endpoint for other grants, or has a host that would be
    /// read as another one.
    pub fn custom(identity: &str, access: &str) -> Result<Self, ConfigError> {
        Self::parse(identity, access, false)
    }

    /// Like [`custom`](Self::custom), with `http` allowed to any host: anyone who can listen on the way
    /// gets every secret.
    ///
    /// # Errors
    ///
    /// As for [`custom`](Self::custom), plain `http` aside.
    pub fn custom_insecure(identity: &str, access: &str) -> Result<Self, ConfigError> {
        Self::parse(identity, access, true)
    }

    fn parse(identity: &str, access: &str, insecure: bool) -> Result<Self, ConfigError> {
        let identity = ("identity token endpoint", identity);
        Self::named(identity, ("access token endpoint", access), insecure)
    }

    pub(crate) fn named(
        identity: Named<'_>,
        access: Named<'_>,
        insecure: bool,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            identity: endpoint(identity.0, identity.1, insecure)?,
            access: endpoint(access.0, access.1, insecure)?,
            outbound: None,
            insecure,
        })
    }

    /// Names the endpoint of integrations and project variables, whose paths are added to it. A slash at its end means
    /// nothing.
    ///
    /// # Errors
    ///
    /// As for the others.
    pub fn with_outbound(mut self, outbound: &str) -> Result<Self, ConfigError> {
        self.outbound = Some(endpoint(OUTBOUND, outbound, self.insecure)?);
        Ok(self)
    }

    /// Where the client id and secret go, for the id token.
    pub fn identity(&self) -> &str {
        self.identity.as_str()
    }

    /// Where the id token goes, for the access token.
    pub fn access(&self) -> &str {
        self.access.as_str()
    }

    /// Where the access token goes, for integrations and project variables; without a slash at its end. None if it is not named.
    pub fn outbound(&self) -> Option<&str> {
        self.outbound.as_ref().map(trimmed)
    }

    /// The API beside the access token endpoint: what its URL has before `/.well-known/token`, else its origin.
    pub fn api(&self) -> Endpoints {
        let mut api = self.access.clone();
        let base = api.path().strip_suffix("/.well-known/token");
        let base = base.unwrap_or_default().to_owned();
        api.set_path(&base);
        Endpoints::new(api, None, self.insecure)
    }

    pub(super) fn identity_uri(&self) -> Uri {
        whole(&self.identity)
    }

    pub(super) fn access_uri(&self) -> Uri {
        whole(&self.access)
    }

    pub(super) fn integration(&self) -> Option<Uri> {
        self.below_outbound("/integration")
    }

    pub(super) fn project_env(&self) -> Option<Uri> {
        self.below_outbound("/env")
    }

    fn below_outbound(&self, path: &str) -> Option<Uri> {
        let outbound = self.outbound.as_ref()?;
        Some(uri(outbound, format_args!("{path}")))
    }
}

fn constant(url: &str) -> Url {
    Url::parse(url).expect("a constant")
}

fn whole(url: &Url) -> Uri {
    url.as_str().parse().expect("a checked URL is a URI")
}

impl fmt::Debug for WorkloadEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadEndpoints")
            .field("identity", &self.identity())
            .field("access", &self.access())
            .field("outbound", &self.outbound())
            .finish()
    }
}
