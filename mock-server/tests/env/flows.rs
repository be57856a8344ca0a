//! Flows of coze-auth over a coze_oauth_config.json each: `flows KIND FILE …`. See run.py.

use coze_auth::authorize::{Callback, RedirectUri};
use coze_auth::blocking::{Client, TokenSource};
use coze_auth::config::OAuthConfig;
use coze_auth::jwt::{JwtApp, JwtGrant};
use coze_auth::{config_from_file, entropy};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn ask(what: &str, value: &str) -> Fallible<String> {
    println!("{what} {value}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn main() -> Fallible<()> {
    let client = Client::new()?;
    // As the quickstarts have it.
    let redirect = RedirectUri::new("http://127.0.0.1:8080/callback")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let [kind, file] = pair else { return Err("a kind and a file".into()) };
        let (grant, endpoints) = match config_from_file(file)? {
            OAuthConfig::Web(app) => {
                let (url, attempt) = app.authorize(&redirect, entropy()?)?;
                let callback = Callback::parse(&ask("BROWSE", url.as_str())?)?;
                let grant = client.run(app.exchange(attempt, &callback)?)?;
                let refresh = grant.refresh_token.ok_or("no refresh token")?;
                (client.run(app.refresh(&refresh))?, app.endpoints().clone())
            }
            OAuthConfig::Pkce(app) => {
                let (url, attempt) = app.authorize(&redirect, entropy()?)?;
                let callback = Callback::parse(&ask("BROWSE", url.as_str())?)?;
                let grant = client.run(app.exchange(attempt, &callback)?)?;
                let refresh = grant.refresh_token.ok_or("no refresh token")?;
                (client.run(app.refresh(&refresh))?, app.endpoints().clone())
            }
            OAuthConfig::Device(app) => {
                let started = client.run(app.start())?;
                ask("DEVICE", &started.user_code)?;
                let grant = client.run(app.poll(&started))?;
                let refresh = grant.refresh_token.ok_or("no refresh token")?;
                (client.run(app.refresh(&refresh))?, app.endpoints().clone())
            }
            OAuthConfig::Jwt(issuer, key) => {
                let app = JwtApp::from_issuer(issuer, key.rsa_key()?);
                let grant = client.run(app.grant(&JwtGrant::new(), entropy()?))?;
                (grant, app.endpoints().clone())
            }
            _ => return Err("another kind of app".into()),
        };
        let tokens = TokenSource::fixed(&client, &endpoints, grant.access_token);
        println!("DONE {kind} {}", tokens.whoami()?.user_name);
    }
    Ok(())
}
