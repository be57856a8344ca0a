//! What comes from the machine and not over the network: randomness, clocks, environment, files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime};

use coze_auth_core::config::{Environment, OAuthConfig};
use coze_auth_core::jwt::JwtApp;
use coze_auth_core::proxy::Proxies;
use coze_auth_core::{Entropy, Now, Region, SteadyTime};
use zeroize::Zeroizing;

use crate::Error;

/// 32 random bytes from the operating system, for one login or one JWT grant.
///
/// # Errors
///
/// [`Error::Entropy`] if the system has none to give.
pub fn entropy() -> Result<Entropy, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| Error::Entropy(Arc::new(error.into())))?;
    Ok(Entropy::from_bytes(*bytes))
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
    Environment::new(region, variable)
}

/// The proxies of the process's environment, as it is now.
pub fn proxies() -> Proxies {
    Proxies::from_lookup(variable)
}

/// A value that is not Unicode counts as set: its replacement characters are refused by name, where `std::env::var`
/// would have it vanish.
fn variable(name: &str) -> Option<String> {
    // The value moves: it may be a secret, and a copy would not be wiped.
    let lossy = |value: OsString| value.to_string_lossy().into_owned();
    std::env::var_os(name).map(|value| value.into_string().unwrap_or_else(lossy))
}

/// The JWT app of `COZE_JWT_OAUTH_CLIENT_ID`, `COZE_JWT_OAUTH_PUBLIC_KEY_ID`, and
/// `COZE_JWT_OAUTH_PRIVATE_KEY` or the file that `COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH` names; if none of them is set, of Coze Loop's three
/// ([`Environment::jwt_issuer`]).
///
/// # Errors
///
/// [`Error::Core`] naming the variable, or what is wrong with the key.
pub fn jwt_app_from_env(region: Region) -> Result<JwtApp, Error> {
    jwt_app(&environment(region))
}

/// The JWT app of an environment, whose key may stand in a file of this machine: [`jwt_app_from_env`] for who looks
/// the variables up elsewhere.
///
/// # Errors
///
/// As for [`jwt_app_from_env`].
pub fn jwt_app(environment: &Environment<'_>) -> Result<JwtApp, Error> {
    let (issuer, key) = environment.jwt_issuer(|path| text_of(Path::new(path)).map(take))?;
    Ok(JwtApp::from_issuer(issuer, key.rsa_key()?))
}

/// Reads a `coze_oauth_config.json`, as Coze's console gives it.
///
/// # Errors
///
/// [`Error::File`] if the file cannot be read, [`Error::Core`] naming the member that is wrong, and the file.
pub fn config_from_file(path: impl AsRef<Path>) -> Result<OAuthConfig, Error> {
    let path = path.as_ref();
    let text = text_of(path).map_err(|cause| Error::File {
        path: path.to_owned(),
        cause: Arc::new(cause),
    })?;
    let name = path.to_string_lossy();
    Ok(match OAuthConfig::from_json(&text) {
        Ok(OAuthConfig::Jwt(issuer, key)) => OAuthConfig::Jwt(issuer, key.in_file(name)),
        read => read.map_err(|error| error.in_file(name))?,
    })
}

/// More than any key or configuration has, in bytes.
const LONGEST_FILE: usize = 256 * 1024;

/// The text of a file that may hold secrets, in memory that is wiped. It is read in one piece, so that no smaller
/// piece is left behind.
fn text_of(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE + 1));
    let limit = u64::try_from(bytes.capacity()).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST_FILE {
        let text = format!("it is longer than {LONGEST_FILE} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    match &bytes[..] {
        // What PowerShell's `>` and older editors of Windows write.
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(&bytes) {
            Ok(_) => {
                let bytes = std::mem::take(&mut *bytes);
                Ok(Zeroizing::new(String::from_utf8(bytes).unwrap_or_default()))
            }
            Err(error) => {
                let text = match bytes[..] {
                    [0x30, 0x80..=0x84, ..] => {
                        "it is DER and not text; openssl pkey -inform der -in FILE makes PEM of a key".to_owned()
                    }
                    _ => format!("it is not text in UTF-8 (byte {})", error.valid_up_to()),
                };
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> io::Result<Zeroizing<String>> {
    // Three bytes of UTF-8 at most for two of these.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    for character in char::decode_utf16(units) {
        let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-16");
        text.push(character.map_err(wrong)?);
    }
    Ok(text)
}

/// The text itself, for what wipes it by itself.
fn take(mut text: Zeroizing<String>) -> String {
    std::mem::take(&mut *text)
}
