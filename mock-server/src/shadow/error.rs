//! Why a shadow could not be started.

use std::fmt;

use crate::config::errors::ConfigErrors;
use crate::error::SetupError;
use crate::redact::without_keys;

/// Why a shadow could not be started.
#[non_exhaustive]
pub enum ShadowError {
    /// This cannot be the upstream; the second text is the reason.
    Upstream(String, &'static str),
    /// The environment names a proxy of another kind than the shadow can use; the text is its scheme.
    Proxy(String),
    /// The upstream's certificates cannot be checked; the text is the reason.
    Roots(String),
    /// The shadow cannot listen, or cannot make its CA.
    Setup(SetupError),
    /// The file of an app cannot be read; the text names it, and says why.
    App(String),
    /// The configuration with the apps has mistakes.
    Config(ConfigErrors),
}

impl fmt::Display for ShadowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(url, why) => {
                let shown = without_keys(url, url);
                // A password would stand before it.
                let shown = shown.rsplit_once('@').map_or(&*shown, |(_, host)| host);
                write!(
                    f,
                    "{shown:?} cannot be the upstream: {why}; expected one such as https://api.coze.cn"
                )
            }
            Self::Proxy(scheme) => write!(
                f,
                "the environment names a proxy of {scheme} for the upstream, and the shadow can use one of http alone (HTTPS_PROXY=http://HOST:PORT); \
                 start the shadow with another one, or with NO_PROXY=* to reach the upstream without a proxy"
            ),
            Self::Roots(why) => write!(f, "the upstream's certificates cannot be checked: {why}"),
            Self::Setup(error) => error.fmt(f),
            Self::App(why) => write!(
                f,
                "{why}; expected the coze_oauth_config.json that Coze's console gives for the app"
            ),
            Self::Config(errors) => errors.fmt(f),
        }
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for ShadowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ShadowError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setup(error) => Some(error),
            Self::Config(errors) => Some(errors),
            Self::Upstream(..) | Self::Proxy(_) | Self::Roots(_) | Self::App(_) => None,
        }
    }
}

impl From<SetupError> for ShadowError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<ConfigErrors> for ShadowError {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}
