//! The kinds of secrets, and where each belongs.

use crate::protocol::endpoint::Endpoint;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Refresh,
    Code,
    DeviceCode,
    ClientSecret,
    Pat,
    Sat,
    Verifier,
    Assertion,
    IdToken,
    /// Client id and secret of a workload, as one word in base64.
    ApiKey,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
            Self::Code => "code",
            Self::DeviceCode => "device_code",
            Self::ClientSecret => "client_secret",
            Self::Pat => "pat",
            Self::Sat => "sat",
            Self::Verifier => "code_verifier",
            Self::Assertion => "assertion",
            // By the name of the member that it belongs in.
            Self::IdToken => "subject_token",
            Self::ApiKey => "api_key",
        }
    }

    /// The kind of secret whose shape a word has, if this mock makes such secrets.
    pub(super) fn by_shape(word: &str) -> Option<Self> {
        match (word.as_bytes(), word.len()) {
            ([b'm', b'o', b'c', b'k', b'_', ..], 72) => Some(Self::Refresh),
            ([b'm', b'o', b'c', b'k', b'_', ..], 64) => Some(Self::DeviceCode),
            ([b'c', b'z', ..], _) => {
                let access = word.starts_with("czu_mock_") || word.starts_with("czs_mock_");
                access.then_some(Self::Access)
            }
            ([b'c', ..], _) => word.starts_with("code_mock_").then_some(Self::Code),
            ([b'p', b'a', b't', b'_', ..], _) => Some(Self::Pat),
            ([b's', b'a', b't', b'_', ..], _) => Some(Self::Sat),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Path,
    Query(&'a str),
    Header(&'a str),
    Member(&'a str),
    /// A nested value in the body, or the name of a member.
    Body,
    Text,
}

impl Place<'_> {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query(_) => "query",
            Self::Header(_) => "header",
            Self::Member(_) | Self::Body => "body",
            Self::Text => "text",
        }
    }

    pub(super) fn takes(self, kind: Kind, endpoint: Endpoint<'_>) -> bool {
        let token = matches!(endpoint, Endpoint::Token { .. });
        let of_workload = matches!(endpoint, Endpoint::WorkloadToken { .. });
        match self {
            // A redirect to this server has a code in its query; a plain challenge is the verifier itself.
            Self::Query("code") => kind == Kind::Code && endpoint == Endpoint::Unknown,
            Self::Query("code_challenge") => {
                kind == Kind::Verifier && matches!(endpoint, Endpoint::Authorize { .. })
            }
            Self::Header("authorization") => match kind {
                Kind::Access | Kind::Pat | Kind::Sat => endpoint.takes_token(),
                Kind::ClientSecret | Kind::Assertion => token,
                // The SDKs of the coding platform send it as a Bearer credential of other services (protocol §15.6).
                Kind::ApiKey => true,
                _ => false,
            },
            Self::Header("x-storage-token") => matches!(kind, Kind::ApiKey | Kind::Access),
            Self::Member(name) if of_workload => match kind {
                Kind::ClientSecret => name == "client_secret",
                Kind::IdToken => name == "subject_token",
                _ => false,
            },
            Self::Member(name) => {
                let secret = !matches!(kind, Kind::Access | Kind::Pat | Kind::Sat);
                token && secret && name == kind.name()
            }
            _ => false,
        }
    }
}
