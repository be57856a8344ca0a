//! `ctl requests`: the requests of the journal, filtered, and new ones.

use clap::Args;
use serde_json::json;
use url::form_urlencoded;

use super::Send;
use crate::cli::{Failure, output, print};

#[derive(Debug, Args)]
pub(super) struct Requests {
    #[command(flatten)]
    filter: RequestFilter,
    /// Only requests that were answered with this status
    #[arg(long)]
    status: Option<u16>,
    /// Only requests that this rule refused
    #[arg(long)]
    rule: Option<String>,
    /// Only requests on which a fault of this kind acted
    #[arg(long)]
    fault: Option<String>,
    /// Only the request with this log id, of whichever world
    #[arg(long, conflicts_with = "follow")]
    logid: Option<String>,
    /// Show new requests as they arrive, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub(super) follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct RequestFilter {
    /// Endpoint: authorize, token, device_code, users_me, workspaces, api or unknown
    #[arg(long)]
    endpoint: Option<String>,
    /// Grant type: authorization_code, refresh_token, device_code or jwt_bearer
    #[arg(long)]
    grant: Option<String>,
    /// Client id; for the JWT grant the issuer
    #[arg(long)]
    client_id: Option<String>,
    /// Path, without its query
    #[arg(long)]
    path: Option<String>,
}

impl RequestFilter {
    pub(super) fn members(&self) -> [(&'static str, Option<String>); 4] {
        let grant = self.grant.clone();
        // Only one endpoint has grants.
        let implied = || grant.as_ref().map(|_| "token".to_owned());
        [
            ("endpoint", self.endpoint.clone().or_else(implied)),
            ("grant", grant.clone()),
            ("client_id", self.client_id.clone()),
            ("path", self.path.clone()),
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
            ("logid", self.logid.clone()),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.filter.members().into_iter().chain(others) {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }

    /// Waits in requests that are shorter than the read timeout of the socket.
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
            } else if answer["why"] != "no request arrived in time" {
                // Numbers start again after a reset.
                after = 0;
            }
        }
    }
}
