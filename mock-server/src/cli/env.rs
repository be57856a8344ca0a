//! `env`: what a program needs to use the mock instead of Coze, in the form that its client reads.

mod key_file;
#[cfg(feature = "shadow")]
mod shadow;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use url::{Host, Url};

use super::http::Target;
use super::{Failure, print};
pub(crate) use key_file::line as key_file_line;

#[derive(Debug, Args)]
#[group(id = "form", required = true, multiple = false, args = ["client", "config"])]
pub(crate) struct Environment {
    #[command(flatten)]
    target: Target,
    /// Client whose variables are printed, with a program that uses it
    #[arg(long = "for", value_enum, value_name = "CLIENT")]
    client: Option<Client>,
    /// Print the coze_oauth_config.json of the app of this kind, which Coze's quickstarts read
    #[arg(long, value_enum, value_name = "KIND")]
    config: Option<Kind>,
    /// Print what a program needs to reach the real service through a running shadow, without its app [default: <http://127.0.0.1:9778>]
    #[cfg(feature = "shadow")]
    #[arg(
        long,
        value_name = "URL",
        requires = "client",
        conflicts_with = "key_file",
        num_args = 0..=1,
        value_parser = super::http::base_url,
        default_missing_value = "http://127.0.0.1:9778"
    )]
    shadow: Option<Url>,
    /// File to write the private key to, for samples that read it from a file [default: one in the temporary folder]
    #[arg(long, value_name = "FILE", requires = "client")]
    key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    /// cozepy
    Python,
    /// @coze/api
    Js,
    /// github.com/coze-dev/coze-go
    Go,
    /// com.coze:coze-api
    Java,
    /// coze-auth
    Rust,
    /// Only the variables
    Shell,
    /// cozeloop
    LoopPython,
    /// github.com/coze-dev/cozeloop-go
    LoopGo,
    /// com.coze:cozeloop-core
    LoopJava,
    /// coze-workload-identity
    WorkloadPython,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Web,
    Pkce,
    Device,
    Jwt,
}

/// A program that gets a token of the JWT app and uses it.
struct Program {
    /// What it needs, and how it is started.
    needs: &'static str,
    language: &'static str,
    text: &'static str,
}

const fn program(needs: &'static str, language: &'static str, text: &'static str) -> Program {
    Program {
        needs,
        language,
        text,
    }
}

impl Client {
    const fn is_of_loop(self) -> bool {
        matches!(self, Self::LoopPython | Self::LoopGo | Self::LoopJava)
    }

    /// The program, for a mock at `base`.
    fn program(self, base: &str) -> Option<Program> {
        Some(match self {
            Self::Python => program(
                "pip install cozepy",
                "PYTHON",
                include_str!("../../programs/coze-python.txt"),
            ),
            Self::Js => program(
                "npm install @coze/api",
                "JS",
                include_str!("../../programs/coze-js.txt"),
            ),
            Self::Go => program(
                "go get github.com/coze-dev/coze-go",
                "GO",
                include_str!("../../programs/coze-go.txt"),
            ),
            Self::Java => program(
                "com.coze:coze-api of Maven Central",
                "JAVA",
                include_str!("../../programs/coze-java.txt"),
            ),
            Self::Rust => program(
                "the crate coze-auth with the feature ureq",
                "RUST",
                match needs_permission(base) {
                    true => include_str!("../../programs/coze-rust-http.txt"),
                    false => include_str!("../../programs/coze-rust.txt"),
                },
            ),
            Self::LoopPython => program(
                "pip install cozeloop",
                "PYTHON",
                include_str!("../../programs/loop-python.txt"),
            ),
            Self::LoopGo => program(
                "go get github.com/coze-dev/cozeloop-go",
                "GO",
                include_str!("../../programs/loop-go.txt"),
            ),
            Self::LoopJava => program(
                "com.coze:cozeloop-core of Maven Central",
                "JAVA",
                include_str!("../../programs/loop-java.txt"),
            ),
            Self::WorkloadPython => program(
                "pip install coze-workload-identity",
                "PYTHON",
                include_str!("../../programs/workload-python.txt"),
            ),
            Self::Shell => return None,
        })
    }
}

/// Returns true if `coze-auth` refuses this base unless it is told to allow it: plain http, and not to this machine by an
/// address or by `localhost`.
fn needs_permission(base: &str) -> bool {
    let Ok(url) = Url::parse(base) else {
        return false;
    };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_here
}

/// A line that sets a variable in a shell.
pub(crate) fn export(name: &str, value: &str) -> String {
    format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
}

/// The variables with which the SDKs' HTTP clients trust a CA: httpx, Go, curl and rustls read the first, Node the second.
pub(crate) fn ca_lines(file: &Path, indent: &str) -> String {
    let file = std::path::absolute(file).unwrap_or_default();
    ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"]
        .map(|name| format!("{indent}{}", export(name, &file.display().to_string())))
        .concat()
}

/// The first app of a kind. `info` is the answer of `GET /_mock/v1/info`.
fn app<'a>(info: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut apps = info["apps"].as_array()?.iter();
    apps.find(|app| app["kind"] == kind)
}

/// The variables of the clients of Coze Loop, which has the JWT app and a token in common with Coze.
fn loop_lines(info: &Value) -> String {
    let app = app(info, "jwt").unwrap_or(&Value::Null);
    let variables = [
        ("API_BASE_URL", &info["base_url"]),
        ("WORKSPACE_ID", &info["workspace_id"]),
        ("API_TOKEN", &info["tokens"][0]["value"]),
        ("JWT_OAUTH_CLIENT_ID", &app["client_id"]),
        ("JWT_OAUTH_PRIVATE_KEY", &app["private_key"]),
        ("JWT_OAUTH_PUBLIC_KEY_ID", &app["key_id"]),
    ];
    let lines = variables.into_iter().filter_map(|(name, value)| {
        let value = value.as_str()?.trim();
        Some(export(&format!("COZELOOP_{name}"), value))
    });
    lines.collect()
}

/// `coze_oauth_config.json`, with the members that Coze's quickstarts require.
fn config(info: &Value, kind: Kind) -> Result<String, Failure> {
    let name = super::ctl::word(kind);
    let app = app(info, &name).ok_or_else(|| format!("this mock has no app of kind {name}"))?;
    let mut file = json!({
        "client_type": name,
        "client_id": app["client_id"],
        "coze_www_base": info["base_url"],
        "coze_api_base": info["base_url"],
    });
    for (member, value) in [
        ("client_secret", &app["client_secret"]),
        ("public_key_id", &app["key_id"]),
        ("private_key", &app["private_key"]),
    ] {
        if !value.is_null() {
            file[member] = value.clone();
        }
    }
    if matches!(kind, Kind::Jwt) && file.get("private_key").is_none() {
        let text = "the mock has only the public key of its JWT app: add \"private_key\" by hand";
        eprintln!("coze-auth-mock: {text}");
    }
    serde_json::to_string_pretty(&file).map_err(|error| error.to_string().into())
}

pub(crate) fn run(args: &Environment) -> Result<(), Failure> {
    #[cfg(feature = "shadow")]
    if let (Some(url), Some(client)) = (&args.shadow, args.client) {
        print(shadow::lines(&args.target, client, url)?.trim_end());
        return Ok(());
    }
    let mut info = args.target.info()?;
    if args.target.is_named_world() {
        info["base_url"] = own_port(args)?.unwrap_or_else(|| info["base_url"].take());
    }
    let base = info["base_url"].as_str().unwrap_or_default();
    if needs_permission(base) && !matches!(args.client, Some(Client::Rust)) {
        eprintln!(
            "coze-auth-mock: the Rust library coze-auth refuses {base}, which is http and not of this machine, unless its base is made by Endpoints::custom_insecure; other clients take it"
        );
    }
    match (args.client, args.config) {
        (Some(client), _) => print(lines(args, client, &info, base)?.trim_end()),
        (None, Some(kind)) => print(&config(&info, kind)?),
        // Clap requires one of them.
        (None, None) => {}
    }
    Ok(())
}

/// The URL of the port of the world's own, which the mock opens if it has none: the Java SDK drops the path of a base URL. None if
/// the mock opens no more ports, for a client that keeps a path.
fn own_port(args: &Environment) -> Result<Option<Value>, Failure> {
    let answer = args
        .target
        .send("PUT", "/port", Some(&json!({ "port": 0 })))?;
    let mut json = answer.json();
    if answer.ok() {
        return Ok(Some(json["port_url"].take()));
    }
    let why = json["error"].as_str().unwrap_or("refused");
    match args.client {
        Some(Client::Java) | None => Err(Failure::Reason(format!(
            "the world gets no port of its own, without which the Java SDK reaches the first world: {why}"
        ))),
        Some(_) => {
            eprintln!(
                "coze-auth-mock: the world has no port of its own, so the base has a path: {why}"
            );
            Ok(None)
        }
    }
}

fn lines(args: &Environment, client: Client, info: &Value, base: &str) -> Result<String, Failure> {
    let mut lines = if client.is_of_loop() {
        loop_lines(info)
    } else {
        coze_auth_mock::environment(info) + &key_file_line(info, args.key_file.as_deref())?
    };
    if let Some(file) = args.target.ca() {
        lines += &ca_lines(file, "");
    }
    if let Some(program) = client.program(base) {
        let Program {
            needs,
            language,
            text,
        } = program;
        // A here-document of the command that does nothing: `eval` skips the program, and it can be copied as it is.
        let _ = write!(
            lines,
            "\n# A program with these variables; it needs {needs}\n: <<'{language}'\n{text}{language}\n"
        );
    }
    Ok(lines)
}
