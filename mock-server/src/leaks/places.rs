//! The kinds of secrets, and where each belongs.

use crate::endpoint::Endpoint;

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
        }
    }

    /// What a word would be that this mock has made, by its looks.
    pub(super) fn by_shape(word: &str) -> Option<Self> {
        let shapes = [
            ("czu_mock_", Self::Access),
            ("czs_mock_", Self::Access),
            ("code_mock_", Self::Code),
            ("pat_", Self::Pat),
            ("sat_", Self::Sat),
        ];
        match word.len() {
            72 if word.starts_with("mock_") => Some(Self::Refresh),
            64 if word.starts_with("mock_") => Some(Self::DeviceCode),
            _ => {
                let found = shapes.iter().find(|(prefix, _)| word.starts_with(prefix));
                found.map(|(_, kind)| *kind)
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Path,
    Query(&'a str),
    Header(&'a str),
    Member(&'a str),
    /// Deeper in the body, or its name.
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
        match self {
            // Where a redirect leads that comes back to this server; a plain challenge is the
            // verifier itself.
            Self::Query("code") => kind == Kind::Code && endpoint == Endpoint::Unknown,
            Self::Query("code_challenge") => {
                kind == Kind::Verifier && matches!(endpoint, Endpoint::Authorize { .. })
            }
            Self::Header("authorization") => match kind {
                Kind::Access | Kind::Pat | Kind::Sat => endpoint == Endpoint::UsersMe,
                Kind::ClientSecret | Kind::Assertion => token,
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
