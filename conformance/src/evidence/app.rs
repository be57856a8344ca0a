//! The apps of the run, from `coze_oauth_config.json` (protocol §9).

use std::fs;
use std::path::{Path, PathBuf};

use coze_auth_core::config::OAuthConfig;
use coze_auth_core::jwt::RsaKey;
use serde_json::Value;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Web,
    Pkce,
    Device,
    Jwt,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Pkce => "pkce",
            Self::Device => "device",
            Self::Jwt => "jwt",
        }
    }

    /// As it stands in a sentence.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Pkce => "PKCE",
            Self::Device => "device",
            Self::Jwt => "JWT",
        }
    }
}

/// An app, with what its requests need.
pub(super) struct App {
    pub(super) kind: Kind,
    pub(super) file: PathBuf,
    pub(super) client_id: String,
    pub(super) secret: Option<String>,
    /// Key id and key of a JWT app.
    pub(super) key: Option<(String, RsaKey)>,
    pub(super) redirect_uri: Option<String>,
    pub(super) base: String,
    pub(super) www: Option<String>,
}

impl App {
    /// Reads the file. The error quotes nothing of it.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {why}", file.display());
        let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        if text.starts_with('\u{feff}') {
            let why = "begins with a byte order mark (BOM); save it as UTF-8 without one";
            return Err(wrong(why.to_owned()));
        }
        let config = OAuthConfig::from_json(&text).map_err(|error| wrong(error.to_string()))?;
        let members: Value = serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            wrong(format!("not JSON at line {line}, column {column}"))
        })?;
        let text = |name: &str| {
            let text = members[name].as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let needed = |name: &str| text(name).ok_or_else(|| wrong(format!("{name} is not a text")));
        let (kind, key) = match config {
            OAuthConfig::Web(_) => (Kind::Web, None),
            OAuthConfig::Pkce(_) => (Kind::Pkce, None),
            OAuthConfig::Device(_) => (Kind::Device, None),
            OAuthConfig::Jwt(issuer, key) => {
                let key = key.rsa_key().map_err(|error| wrong(error.to_string()))?;
                (Kind::Jwt, Some((issuer.key_id().to_owned(), key)))
            }
            _ => return Err(wrong("an app of a kind that is not known here".to_owned())),
        };
        let first = members["redirect_uris"][0].as_str();
        Ok(Self {
            kind,
            file: file.to_owned(),
            client_id: needed("client_id")?,
            secret: text("client_secret").filter(|_| kind == Kind::Web),
            key,
            redirect_uri: first.filter(|uri| !uri.contains('*')).map(str::to_owned),
            base: needed("coze_api_base")?.trim_end_matches('/').to_owned(),
            www: text("coze_www_base").map(|www| www.trim_end_matches('/').to_owned()),
        })
    }
}
