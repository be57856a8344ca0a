//! What comes from the machine and not over the network: randomness, clocks, environment, files.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime};

use coze_auth_core::config::{Environment, OAuthConfig};
use coze_auth_core::jwt::{JwtApp, RsaKey};
use coze_auth_core::{Entropy, Now, Region, SteadyTime};

use crate::Error;

/// 32 random bytes from the operating system, for one login or one JWT grant.
///
/// # Errors
///
/// [`Error::Entropy`] if the system has none to give.
pub fn entropy() -> Result<Entropy, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Entropy(Arc::new(error.into())))?;
    Ok(Entropy::from_bytes(bytes))
}

/// Where the steady clock starts: one for the process, because steady times travel between its clients, as in
/// `DeviceAuthorization::received_at`.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The machine's clocks: [`SystemTime`], and [`Instant`] since this process first asked.
pub fn system_now() -> Now {
    Now {
        unix: SystemTime::now().into(),
        steady: SteadyTime::from_duration(START.elapsed()),
    }
}

/// Coze's variables in the process's environment. `region` is for where `COZE_API_BASE` is not set.
pub fn environment(region: Region) -> Environment<'static> {
    Environment::new(region, |name| {
        // A value that is not Unicode counts as set: its replacement characters are refused by name, where
        // `std::env::var` would have it vanish.
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    })
}

/// The JWT app of `COZE_JWT_OAUTH_CLIENT_ID`, `COZE_JWT_OAUTH_PUBLIC_KEY_ID`, and
/// `COZE_JWT_OAUTH_PRIVATE_KEY` or the file that `COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH` names.
///
/// # Errors
///
/// [`Error::Core`] naming the variable, or what is wrong with the key.
pub fn jwt_app_from_env(region: Region) -> Result<JwtApp, Error> {
    let (issuer, key) = environment(region).jwt_issuer(|path| std::fs::read_to_string(path))?;
    Ok(JwtApp::from_issuer(issuer, RsaKey::from_pem(key.expose())?))
}

/// Reads a `coze_oauth_config.json`, as Coze's console gives it.
///
/// # Errors
///
/// [`Error::File`] if the file cannot be read, [`Error::Core`] naming the member that is wrong.
pub fn config_from_file(path: impl AsRef<Path>) -> Result<OAuthConfig, Error> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|cause| Error::File {
        path: path.to_owned(),
        cause: Arc::new(cause),
    })?;
    Ok(OAuthConfig::from_json(&text)?)
}
