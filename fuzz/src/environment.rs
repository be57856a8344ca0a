//! Variables of the environment, one `NAME=VALUE` a line, to every setting that is read from them; `FILE=` is what every file has in it.
//!
//! An error names the variable that has to change, and never shows a secret; a proxy's password is never shown; the same variables give the
//! same settings.

use std::collections::BTreeMap;

use coze_auth_core::config::Environment;
use coze_auth_core::error::ConfigError;
use coze_auth_core::proxy::Proxies;
use coze_auth_core::{Region, http::Uri};

use crate::support::{SENTINEL, is_plain, keeps, shown};

fn judge(error: &ConfigError) {
    let told = shown(error);
    keeps("an error", &told, &[SENTINEL]);
    is_plain("an error", &told);
    let named = error.what().split(", ").flat_map(|some| some.split(" or "));
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    for name in named {
        assert!(is_name(name), "{name:?} is not a variable: {told}");
    }
}

fn told<T>(result: Result<T, ConfigError>, name: impl Fn(T) -> String) -> String {
    match result {
        Ok(value) => name(value),
        Err(error) => {
            judge(&error);
            error.to_string()
        }
    }
}

/// All settings, as they are told.
fn settings(variables: &BTreeMap<&str, &str>) -> Vec<String> {
    let lookup = |name: &str| variables.get(name).map(|&value| value.to_owned());
    let file = variables.get("FILE").copied().unwrap_or_default();
    let environment = Environment::new(Region::Cn, lookup);
    let mut all = vec![
        told(environment.endpoints(), |given| {
            assert!(!given.api_base().ends_with('/'));
            format!("{given:?}")
        }),
        told(environment.access_token(), |given| format!("{given:?}")),
        told(environment.web_app(), |given| format!("{given:?}")),
        told(environment.web_redirect_uri(), |given| {
            given.as_str().to_owned()
        }),
        told(environment.pkce_app(), |given| format!("{given:?}")),
        told(environment.pkce_redirect_uri(), |given| {
            given.as_str().to_owned()
        }),
        told(environment.device_app(), |given| format!("{given:?}")),
        told(environment.workload_app(), |given| format!("{given:?}")),
    ];
    let read = |_: &str| match file {
        "" => Err(std::io::ErrorKind::NotFound.into()),
        file => Ok(file.to_owned()),
    };
    all.push(told(environment.jwt_issuer(read), |(issuer, key)| {
        let given = format!("{issuer:?} {key:?}");
        told(key.rsa_key(), |_| given.clone())
    }));
    let proxies = Proxies::from_lookup(lookup);
    keeps("Debug", &format!("{proxies:?}"), &[SENTINEL]);
    for uri in [
        "https://api.coze.cn/x",
        "http://api.example:8080/",
        "http://127.0.0.1:9/",
        "https://[::1]/",
    ] {
        let uri: Uri = uri.parse().expect("a URI");
        all.push(told(proxies.for_uri(&uri), |proxy| {
            let Some(proxy) = proxy else {
                return String::new();
            };
            let is_loopback = ["127.0.0.1", "[::1]"].contains(&uri.host().unwrap_or_default());
            assert!(!is_loopback, "this machine is reached directly");
            let url = url::Url::parse(proxy.expose()).expect("a proxy is a URL");
            assert!(url.has_host(), "{proxy:?}");
            format!("{proxy:?}")
        }));
    }
    all
}

/// One environment.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let unescaped: Vec<_> = pairs
        .map(|(name, value)| (name, value.replace("\\n", "\n")))
        .collect();
    let variables: BTreeMap<&str, &str> = unescaped
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let all = settings(&variables);
    assert_eq!(all, settings(&variables));
    // One that is empty is one that is not set.
    let mut with_empty = variables.clone();
    for name in [
        "COZE_API_BASE",
        "COZE_WWW_BASE",
        "COZE_API_TOKEN",
        "HTTPS_PROXY",
        "COZE_JWT_OAUTH_PRIVATE_KEY",
    ] {
        with_empty.entry(name).or_insert("");
    }
    assert_eq!(all, settings(&with_empty));
}
