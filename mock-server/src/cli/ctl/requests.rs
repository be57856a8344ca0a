//! Which requests are meant, and those that come.

use clap::Args;
use serde_json::json;
use url::form_urlencoded;

use super::Send;
use crate::cli::{Failure, output, print};

#[derive(Debug, Args)]
pub(super) struct Requests {
    #[command(flatten)]
    filter: RequestFilter,
    /// Only those answered with this status
    #[arg(long)]
    status: Option<u16>,
    /// Only those that this rule refused
    #[arg(long)]
    rule: Option<String>,
    /// Only those on which such a fault acted
    #[arg(long)]
    fault: Option<String>,
    /// Show those that come, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub(super) follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct RequestFilter {
    /// authorize, token, device_code, users_me or unknown
    #[arg(long)]
    endpoint: Option<String>,
    /// authorization_code, refresh_token, device_code or jwt_bearer
    #[arg(long)]
    grant: Option<String>,
    /// The client id; for JWT the issuer
    #[arg(long)]
    client_id: Option<String>,
}

impl RequestFilter {
    pub(super) fn members(&self) -> [(&'static str, Option<String>); 3] {
        let grant = self.grant.clone();
        // Only one endpoint has grants.
        let implied = || grant.as_ref().map(|_| "token".to_owned());
        [
            ("endpoint", self.endpoint.clone().or_else(implied)),
            ("grant", grant.clone()),
            ("client_id", self.client_id.clone()),
        ]
    }
}

impl Requests {
    pub(super) fn query(&self) -> String {
        let status = self.status.map(|status| status.to_string());
        let others = [
            ("status", status),
            ("rule", self.rule.clone()),
            ("fault", self.fault.clone()),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.filter.members().into_iter().chain(others) {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }

    /// Asks again before the plain socket's patience ends.
    pub(super) fn follow(&self, send: &Send<'_>) -> Result<(), Failure> {
        let filters = self.query();
        let mut after = 0;
        loop {
            let path = format!("/requests/next?after={after}&timeout_ms=2000&{filters}");
            let answer = send("GET", &path, None)?;
            let request = &answer["request"];
            if let Some(seq) = request["seq"].as_u64() {
                print(&output::requests(&json!({ "requests": [request] })));
                after = seq;
            } else if answer["why"] != "none came in time" {
                // Numbers start again after a reset.
                after = 0;
            }
        }
    }
}
