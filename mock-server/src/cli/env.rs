//! `env`: the environment variables with which a program uses the mock instead of Coze.

use std::path::Path;

use clap::{Args, ValueEnum};

use super::http::Target;
use super::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Environment {
    #[command(flatten)]
    target: Target,
    /// Language of the program, whose Coze SDK the printed lines configure
    #[arg(long = "for", value_enum, value_name = "LANGUAGE")]
    language: Language,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Python,
    Js,
    Go,
    Java,
    Rust,
    /// Only the environment variables, for `eval`
    Shell,
}

impl Language {
    /// The lines that point the language's Coze SDK at another host, for the API and for the OAuth apps.
    const fn snippet(self) -> &'static str {
        match self {
            Self::Python => {
                r#"
# Python, cozepy; JWTOAuthApp, WebOAuthApp, PKCEOAuthApp and DeviceOAuthApp take base_url too
import os; from cozepy import Coze, TokenAuth
coze = Coze(auth=TokenAuth(os.environ["COZE_API_TOKEN"]), base_url=os.environ["COZE_API_BASE"])
print(coze.users.me().user_name)"#
            }
            Self::Js => {
                r"
// JavaScript, @coze/api; getJWTToken({ baseURL, appId, aud: new URL(baseURL).host, keyid, privateKey }) and the other flows take baseURL too
import { CozeAPI } from '@coze/api';
const coze = new CozeAPI({ token: process.env.COZE_API_TOKEN, baseURL: process.env.COZE_API_BASE });
console.log(await coze.users.me());"
            }
            Self::Go => {
                r#"
// Go, github.com/coze-dev/coze-go; NewJWTOAuthClient and the other flows take coze.WithAuthBaseURL(base)
auth := coze.NewTokenAuth(os.Getenv("COZE_API_TOKEN"))
client := coze.NewCozeAPI(auth, coze.WithBaseURL(os.Getenv("COZE_API_BASE")))
user, err := client.Users.Me(context.Background())"#
            }
            Self::Java => {
                r#"
// Java, com.coze:coze-api; CozeAPI.Builder and the builders of the other flows have baseURL(…) too; it has no call for /v1/users/me
JWTOAuthClient.JWTOAuthBuilder app = new JWTOAuthClient.JWTOAuthBuilder().clientID(System.getenv("COZE_JWT_OAUTH_CLIENT_ID")).baseURL(System.getenv("COZE_API_BASE"));
app.privateKey(System.getenv("COZE_JWT_OAUTH_PRIVATE_KEY")).publicKey(System.getenv("COZE_JWT_OAUTH_PUBLIC_KEY_ID"));
System.out.println(app.build().getAccessToken());"#
            }
            Self::Rust => {
                r"
// Rust, coze-auth-ureq; jwt_app_from_env(…) and environment(…).web_app() read the rest
let endpoints = coze_auth_ureq::environment(Region::Cn).endpoints()?; // COZE_API_BASE counts before the region
let app = coze_auth_ureq::jwt_app_from_env(Region::Cn)?;
let tokens = coze_auth_ureq::TokenSource::jwt(&Client::new()?, app, JwtGrant::new());"
            }
            Self::Shell => "",
        }
    }
}

/// The variables with which the SDKs' HTTP clients trust a CA: httpx, Go, curl and rustls read the first, Node the second.
pub(crate) fn ca_lines(file: &Path, indent: &str) -> String {
    let file = std::path::absolute(file);
    let file = file
        .unwrap_or_default()
        .display()
        .to_string()
        .replace('\'', r"'\''");
    ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"]
        .map(|name| format!("{indent}export {name}='{file}'\n"))
        .concat()
}

pub(crate) fn run(args: &Environment) -> Result<(), Failure> {
    let answer = args.target.send("GET", "/info", None)?;
    if !answer.ok() {
        let why = answer.json()["error"]
            .as_str()
            .unwrap_or("refused")
            .to_owned();
        return Err(Failure::Reason(why));
    }
    let mut lines = coze_auth_mock::environment(&answer.json());
    if let Some(file) = args.target.ca() {
        lines += &ca_lines(file, "");
    }
    print(&format!(
        "{}{}",
        lines.trim_end_matches('\n'),
        match args.language.snippet() {
            "" => String::new(),
            snippet => format!("\n{snippet}"),
        }
    ));
    Ok(())
}
