//! The mock's configuration: TOML, a line `%%`, and options of the command line or the environment, one a line (`listen=…`).
//!
//! All mistakes are told, each with its place, and none shows a secret; what is taken makes a mock, and twice the same one.

use coze_auth_mock::{Builder, CozeAuthMock};

use crate::support::{SENTINEL, is_plain, keeps, parts, shown};

fn options(mut builder: Builder, text: &str) -> Builder {
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        builder = match name {
            "listen" => builder.listen_on(value),
            "public_url" => builder.public_url(value),
            "allowed_origins" => builder.allowed_origins(value.split(',')),
            "allowed_hosts" => builder.allowed_hosts(value.split(',')),
            "admin_token" => builder.admin_token(value),
            "allow_other_machines" => builder.allow_other_machines(),
            "trust_forwarded" => builder.trust_forwarded(),
            "max_memory_mb" => builder.max_memory_mb(value.parse().unwrap_or(1)),
            "journal" => builder.journal_capacity(value.parse().unwrap_or(1)),
            "rule" => builder.rule(value, false),
            "seed" => builder.seed(value.parse().unwrap_or(1)),
            _ => builder,
        };
    }
    builder
}

/// One configuration. A file that it names is one of an empty folder; TLS has files, and certificates that differ each time.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if ["_file", "tls"].iter().any(|name| text.contains(name)) {
        return;
    }
    let parts = parts(text.as_bytes());
    let part = |at: usize| {
        parts
            .get(at)
            .and_then(|part| std::str::from_utf8(part).ok())
    };
    let toml = part(0).unwrap_or_default();
    let make = || {
        let builder = CozeAuthMock::builder().seed(1).toml(toml)?;
        Ok::<_, coze_auth_mock::ConfigErrors>(options(builder, part(1).unwrap_or_default()))
    };
    let builder = match make() {
        Ok(builder) => builder,
        Err(errors) => {
            let told = shown(&errors);
            is_plain("an error", &told);
            is_masked(toml, &told);
            assert!(!errors.to_string().trim().is_empty());
            return;
        }
    };
    let summary = builder.summary();
    is_plain("the summary", &summary.replace('\t', " "));
    is_masked(toml, &summary);
    let Ok(again) = make() else {
        panic!("it was taken the first time")
    };
    assert_eq!(again.summary(), summary);
    match (builder.build(), again.build()) {
        (Ok(mock), Ok(other)) => {
            is_masked(toml, &format!("{mock:?}"));
            assert_eq!(mock.info(), other.info(), "a seed makes the same mock");
        }
        (Err(one), Err(other)) => {
            let told = shown(&one);
            is_plain("an error", &told);
            is_masked(toml, &told);
            assert_eq!(one.to_string(), other.to_string());
        }
        _ => panic!("it makes a mock once"),
    }
}

/// Fails if a secret that stands where secrets stand, and nowhere else, is in a text for people.
fn is_masked(toml: &str, told: &str) {
    let secrets = ["client_secret", "value", "credential", "private"];
    let is_secret = |line: &str| {
        let name = line.split('=').next().unwrap_or_default().trim();
        secrets.contains(&name) && line.matches(SENTINEL).count() == 1
    };
    let all = toml.matches(SENTINEL).count();
    if all > 0 && all == toml.lines().filter(|line| is_secret(line)).count() {
        keeps("a text for people", told, &[SENTINEL]);
    }
}
