//! `token`: prints a valid access token.

use std::time::Duration;

use serde::Serialize;

use crate::Common;
use crate::credential::Credential;
use crate::failure::Failure;
use crate::output;

/// Print a valid access token, and nothing else
///
/// A token that ends within a minute is renewed first, and the new one is stored. Of several processes that ask at once, one
/// renews.
///
/// Example: curl -H "Authorization: Bearer $(coze-auth token)" https://api.coze.cn/v1/users/me
#[derive(Debug, clap::Args)]
pub(crate) struct Token {
    #[command(flatten)]
    life: MinLife,
}

/// How long a token is to be good for.
#[derive(Debug, clap::Args)]
pub(crate) struct MinLife {
    /// Renew a token that ends sooner than this: seconds, or 90s, 10m, 1h; no more than new tokens live is waited for
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0")]
    min_life: Duration,
}

impl MinLife {
    pub(crate) const fn time(&self) -> Duration {
        self.min_life
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let units = [("h", 3600), ("m", 60), ("s", 1), ("", 1)];
    let found = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    found
        .map(Duration::from_secs)
        .ok_or_else(|| "a whole number of seconds, or one with s, m or h behind it".to_owned())
}

#[derive(Serialize)]
struct Json<'a> {
    access_token: &'a str,
    expires_at: Option<u64>,
    api_base: &'a str,
    profile: Option<&'a str>,
}

impl Token {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let credential = Credential::open(common.profile.as_ref())?;
        let token = credential.token(self.life.time())?;
        let text = token.access_token.expose();
        match common.json {
            true => output::line(output::json(&Json {
                access_token: text,
                expires_at: token.expires_at.map(|end| end.as_secs()),
                api_base: credential.endpoints.api_base(),
                profile: credential.profile.as_ref().map(|name| name.as_str()),
            }))?,
            false => output::line(text)?,
        }
        credential.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h"), Ok(3600));
        for wrong in [
            "",
            "m",
            "1d",
            "-1",
            "1.5h",
            " 1",
            "99999999999999999999",
            "9999999999999999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
