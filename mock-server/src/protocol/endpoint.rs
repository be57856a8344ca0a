//! The endpoints of the data plane, by path.

use super::grant::{CLIENT_CREDENTIALS, TOKEN_EXCHANGE};

/// An endpoint of protocol §2.1 or §15.1, with the workspace that its path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    Authorize {
        workspace: Option<&'a str>,
    },
    Token {
        only: Option<JwtPath<'a>>,
    },
    DeviceCode {
        workspace: Option<&'a str>,
    },
    /// The token endpoint of workloads (protocol §15.1). `only` is the one grant type of its path, if it has one.
    WorkloadToken {
        only: Option<&'static str>,
    },
    Integration,
    ProjectEnv,
    UsersMe,
    Workspaces,
    /// A path of Coze's API that no other endpoint is for, or a call of the user's own.
    Api,
    Unknown,
}

/// A path that takes only the JWT grant (protocol §2.1, E4 and E5), with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtPath<'a> {
    Account(&'a str),
    Enterprise(&'a str),
}

/// The names that [`Endpoint::name`] returns.
pub(crate) const ENDPOINTS: [&str; 10] = [
    "authorize",
    "token",
    "device_code",
    "workload_token",
    "integration",
    "project_env",
    "users_me",
    "workspaces",
    "api",
    "unknown",
];

/// Where Coze's API begins (protocol §10.2). The token is looked at before the path there.
const API: [&str; 4] = ["/v1/", "/v2/", "/v3/", "/open_api/"];

/// Where W1 and W2 are on .cn (protocol §15.1).
pub(crate) const WORKLOAD_TOKEN: &str = "/.well-known/token";

/// Two paths of the mock's own for W1 and W2, since both are URLs of the client's environment, and may differ.
pub(crate) const ID_TOKEN: &str = "/id/token";
/// See [`ID_TOKEN`].
pub(crate) const EXCHANGE: &str = "/access/token";

/// Where W3 and W4 are below, on .cn (protocol §15.1).
pub(crate) const OUTBOUND: &str = "/api/v1/secret";

/// The path of the picture of a user.
pub(crate) const PICTURE: &str = "/oauth/avatar.png";

impl<'a> Endpoint<'a> {
    /// The endpoint of a path. Paths are exact: a doubled or trailing slash is another path (protocol §1.4).
    pub(crate) fn of(path: &'a str) -> Self {
        if path == "/v1/users/me" {
            return Self::UsersMe;
        }
        let Some(rest) = path.strip_prefix("/api/permission/oauth2/") else {
            return match path {
                "/v1/workspaces" => Self::Workspaces,
                WORKLOAD_TOKEN => Self::WorkloadToken { only: None },
                ID_TOKEN => Self::WorkloadToken {
                    only: Some(CLIENT_CREDENTIALS),
                },
                EXCHANGE => Self::WorkloadToken {
                    only: Some(TOKEN_EXCHANGE),
                },
                "/api/v1/secret/integration" => Self::Integration,
                "/api/v1/secret/env" => Self::ProjectEnv,
                _ if API.iter().any(|start| path.starts_with(start)) => Self::Api,
                _ => Self::Unknown,
            };
        };
        let mut segments = [""; 5];
        let places = segments.iter_mut().zip(rest.splitn(5, '/'));
        let found = places.map(|(place, segment)| *place = segment).count();
        match segments[..found] {
            ["authorize"] => Self::Authorize { workspace: None },
            ["token"] => Self::Token { only: None },
            ["device", "code"] => Self::DeviceCode { workspace: None },
            [_, "", ..] => Self::Unknown,
            ["workspace_id", id, "authorize"] => Self::Authorize {
                workspace: Some(id),
            },
            ["workspace_id", id, "device", "code"] => Self::DeviceCode {
                workspace: Some(id),
            },
            ["account", id, "token"] => Self::Token {
                only: Some(JwtPath::Account(id)),
            },
            ["enterprise_id", id, "token"] => Self::Token {
                only: Some(JwtPath::Enterprise(id)),
            },
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Authorize { .. } => "authorize",
            Self::Token { .. } => "token",
            Self::DeviceCode { .. } => "device_code",
            Self::WorkloadToken { .. } => "workload_token",
            Self::Integration => "integration",
            Self::ProjectEnv => "project_env",
            Self::UsersMe => "users_me",
            Self::Workspaces => "workspaces",
            Self::Api => "api",
            Self::Unknown => "unknown",
        }
    }

    /// Returns true if it takes an access token.
    pub(crate) const fn takes_token(self) -> bool {
        matches!(
            self,
            Self::UsersMe | Self::Workspaces | Self::Api | Self::Integration | Self::ProjectEnv
        )
    }

    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Authorize { .. } | Self::UsersMe | Self::Workspaces | Self::ProjectEnv => "GET",
            // They answer any method, or none.
            Self::Api | Self::Unknown => "",
            Self::Token { .. }
            | Self::DeviceCode { .. }
            | Self::WorkloadToken { .. }
            | Self::Integration => "POST",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_exact() {
        let with = |workspace| Endpoint::Authorize { workspace };
        let base = "/api/permission/oauth2";
        let is = |path: &str, endpoint| assert_eq!(Endpoint::of(path), endpoint, "{path}");
        is(&format!("{base}/authorize"), with(None));
        is(
            &format!("{base}/workspace_id/ws_a/authorize"),
            with(Some("ws_a")),
        );
        is(&format!("{base}/token"), Endpoint::Token { only: None });
        is(
            &format!("{base}/account/1/token"),
            Endpoint::Token {
                only: Some(JwtPath::Account("1")),
            },
        );
        is(
            &format!("{base}/enterprise_id/v_1/token"),
            Endpoint::Token {
                only: Some(JwtPath::Enterprise("v_1")),
            },
        );
        is(
            &format!("{base}/device/code"),
            Endpoint::DeviceCode { workspace: None },
        );
        is(
            &format!("{base}/workspace_id/ws1/device/code"),
            Endpoint::DeviceCode {
                workspace: Some("ws1"),
            },
        );
        is("/v1/users/me", Endpoint::UsersMe);
        for path in [
            "/",
            "/v1",
            "/v4/chat",
            "//v1/users/me",
            "//api/permission/oauth2/token",
            "/api/permission/oauth2//token",
            "/api/permission/oauth2/token/",
            "/api/permission/oauth2/account//token",
            "/api/permission/oauth2/enterprise_id//token",
            "/api/permission/oauth2/workspace_id//authorize",
            "/api/permission/oauth2/workspace_id//device/code",
            "/api/permission/oauth2/account/1/2/token",
            "/api/permission/oauth2/device//code",
        ] {
            is(path, Endpoint::Unknown);
        }
        is("/v1/workspaces", Endpoint::Workspaces);
        for path in [
            "/v1/users/me/",
            "/v1/workspaces/",
            "/v1/",
            "/v3/chat",
            "/open_api/v2/chat",
        ] {
            is(path, Endpoint::Api);
        }
    }
}
