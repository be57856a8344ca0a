//! Profiles: for whom and as which app somebody is signed in, and where the grant rests. They hold no secret.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use coze_auth::error::holds_secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::{Failure, Kind};
use crate::folders;
use crate::store::StoreKind;

/// The form of a profile's file that is known here.
const VERSION: u32 = 1;
/// More than any profile has, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A profile's name, which is a file's name as well.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ProfileName(String);

impl ProfileName {
    /// What `--profile` says, else `COZE_AUTH_PROFILE`; none if neither does.
    pub(crate) fn chosen(flag: Option<&Self>) -> Result<Option<Self>, Failure> {
        const VARIABLE: &str = "COZE_AUTH_PROFILE";
        if let Some(name) = flag {
            return Ok(Some(name.clone()));
        }
        let value = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let named = value.map(|value| value.to_string_lossy().parse());
        let named = named.transpose();
        named.map_err(|why: String| Failure::new(Kind::Settings, format!("{VARIABLE}: {why}")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProfileName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ProfileName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        match (1..=64).contains(&name.len())
            && name.bytes().all(is_word)
            && !name.starts_with(['.', '-'])
        {
            true => Ok(Self(name.to_owned())),
            false => Err(
                "a profile's name has 1 to 64 letters, digits, and - _ . that do not come first"
                    .to_owned(),
            ),
        }
    }
}

/// The kind of app, or a token of Coze's console.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AppKind {
    Device,
    Pkce,
    Web,
    Jwt,
    /// A project on Coze's coding platform.
    Workload,
    /// A personal or service access token.
    Token,
}

impl AppKind {
    /// Whether another token is had without a person and without a refresh token.
    pub(crate) const fn needs_nobody(self) -> bool {
        matches!(self, Self::Jwt | Self::Workload)
    }
}

impl fmt::Display for AppKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device app",
            Self::Pkce => "PKCE app",
            Self::Web => "web app",
            Self::Jwt => "JWT app",
            Self::Workload => "workload",
            Self::Token => "token of the console",
        })
    }
}

/// What a profile's file says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Profile {
    version: u32,
    pub(crate) app: AppKind,
    pub(crate) client_id: String,
    pub(crate) api_base: String,
    /// The `coze_oauth_config.json` that the app is read from, at each use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<PathBuf>,
    /// The id of the key of a JWT app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_id: Option<String>,
    /// The file with the key of a JWT app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    /// The lane of a workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lane: Option<String>,
    /// Where a workload's id and secret go, where its id token goes, and where its access token goes for integrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outbound_endpoint: Option<String>,
    pub(crate) store: StoreKind,
}

impl Profile {
    pub(crate) fn new(app: AppKind, client_id: &str, api_base: &str, store: StoreKind) -> Self {
        Self {
            version: VERSION,
            app,
            client_id: client_id.to_owned(),
            api_base: api_base.to_owned(),
            config: None,
            key_id: None,
            key_file: None,
            lane: None,
            identity_endpoint: None,
            access_endpoint: None,
            outbound_endpoint: None,
            store,
        }
    }

    /// Reads it; none if nobody has saved a profile of this name.
    pub(crate) fn load(name: &ProfileName) -> Result<Option<Self>, Failure> {
        let path = file(name)?;
        let text = match folders::read(&path, LONGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        match serde_json::from_str::<Self>(&text) {
            Ok(profile) if profile.version == VERSION => match profile.misplaced_secret() {
                None => Ok(Some(profile)),
                Some(name) => Err(Failure::new(
                    Kind::Settings,
                    format!(
                        "{} is not a profile (the value of {name} seems to be a secret, which does not belong there): run coze-auth login to write it anew",
                        path.display()
                    ),
                )),
            },
            Ok(profile) => Err(Failure::new(
                Kind::Settings,
                format!(
                    "{} is of version {}, and this program knows version {VERSION}: update coze-auth",
                    path.display(),
                    profile.version
                ),
            )),
            Err(error) => Err(Failure::new(
                Kind::Settings,
                format!(
                    "{} is not a profile ({}): run coze-auth login to write it anew",
                    path.display(),
                    why_not(&text, &error)
                ),
            )),
        }
    }

    /// The member that holds a secret instead of what belongs there. Other members are shown, by `status` and in errors.
    fn misplaced_secret(&self) -> Option<&'static str> {
        let shown = |path: &Option<PathBuf>| {
            let path = path.as_deref().map(Path::to_string_lossy);
            path.map_or_else(String::new, |path| path.into_owned())
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let members = [
            ("client_id", self.client_id.clone()),
            ("api_base", self.api_base.clone()),
            ("config", shown(&self.config)),
            ("key_id", text(&self.key_id)),
            ("key_file", shown(&self.key_file)),
            ("lane", text(&self.lane)),
            ("identity_endpoint", text(&self.identity_endpoint)),
            ("access_endpoint", text(&self.access_endpoint)),
            ("outbound_endpoint", text(&self.outbound_endpoint)),
        ];
        let found = members.into_iter().find(|(_, value)| holds_secret(value));
        found.map(|(name, _)| name)
    }

    /// The right to change it, until that is dropped: a login and a logout at once would leave tokens behind that no profile names.
    pub(crate) fn lock(name: &ProfileName) -> Result<fs::File, Failure> {
        let path = file(name)?.with_extension("lock");
        let folder = path.parent().unwrap_or(&path);
        folders::make(folder).map_err(|error| failed("make", folder, &error))?;
        let mut options = folders::owners_file();
        let opened = options.write(true).create(true).open(&path);
        let locked = opened.and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        locked.map_err(|error| failed("lock", &path, &error))
    }

    /// Writes it in the place of what there is, whole.
    pub(crate) fn save(&self, name: &ProfileName) -> Result<(), Failure> {
        let path = file(name)?;
        let folder = path.parent().unwrap_or(&path);
        folders::make(folder).map_err(|error| failed("make", folder, &error))?;
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        // What a process left that was killed, or what another put there to be written through.
        let _ = fs::remove_file(&beside);
        let mut options = folders::owners_file();
        let opened = options.write(true).create_new(true).open(&beside);
        let written = opened.and_then(|mut new| {
            new.write_all(text.as_bytes())?;
            new.sync_all()?;
            fs::rename(&beside, &path)
        });
        written.map_err(|error| {
            let _ = fs::remove_file(&beside);
            failed("write", &path, &error)
        })
    }

    pub(crate) fn remove(name: &ProfileName) -> Result<(), Failure> {
        let path = file(name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path, &error))
            }
            _ => Ok(()),
        }
    }

    /// The names of all profiles, in their order.
    pub(crate) fn all() -> Result<Vec<ProfileName>, Failure> {
        let folder = folder()?;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &folder, &error)),
        };
        let names = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_suffix(".json")?.parse().ok()
        });
        let mut names: Vec<ProfileName> = names.collect();
        names.sort();
        Ok(names)
    }
}

/// Why a text is not a profile: line, column and names, and never what stands there, which may be a secret in a wrong place.
fn why_not(text: &str, error: &serde_json::Error) -> String {
    const REQUIRED: [&str; 5] = ["version", "app", "client_id", "api_base", "store"];
    let place =
        |error: &serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    let members = match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        Ok(members) => members,
        Err(error) if error.is_data() => return "it is not an object".to_owned(),
        Err(error) => return format!("{}: it is not JSON", place(&error)),
    };
    let place = place(error);
    if let Some(name) = REQUIRED.iter().find(|name| !members.contains_key(**name)) {
        return format!("{name} is missing");
    }
    // Each alone, in a profile that is right otherwise.
    let good = Profile::new(AppKind::Device, "1", "https://api.coze.cn", StoreKind::File);
    let good = serde_json::to_value(good).unwrap_or_default();
    let is_wrong = |name: &&str| {
        let value = members
            .get(*name)
            .and_then(|raw| serde_json::from_str(raw.get()).ok());
        value.is_some_and(|value: Value| {
            let mut one = good.clone();
            one[*name] = value;
            serde_json::from_value::<Profile>(one).is_err()
        })
    };
    let others = [
        "config",
        "key_id",
        "key_file",
        "lane",
        "identity_endpoint",
        "access_endpoint",
        "outbound_endpoint",
    ];
    match REQUIRED
        .iter()
        .chain(&others)
        .copied()
        .find(|name| is_wrong(name))
    {
        Some(name) => format!("{place}: the value of {name} is not one that a profile has"),
        None => format!("{place}: a name stands there twice"),
    }
}

fn folder() -> Result<PathBuf, Failure> {
    Ok(folders::config()?.join("profiles"))
}

fn file(name: &ProfileName) -> Result<PathBuf, Failure> {
    Ok(folder()?.join(format!("{name}.json")))
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Kind::Settings,
        format!(
            "cannot {doing} {}: {error}; check the folder, its owner and the disk",
            path.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_name_and_never_a_path() {
        for name in ["default", "work-2", "a.b_c", "0"] {
            assert!(name.parse::<ProfileName>().is_ok(), "{name}");
        }
        for name in [
            "", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "扣子", "a\n",
        ] {
            assert!(name.parse::<ProfileName>().is_err(), "{name}");
        }
        assert!("a".repeat(65).parse::<ProfileName>().is_err());
    }
}
