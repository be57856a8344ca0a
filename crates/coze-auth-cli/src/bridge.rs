//! `bridge`: a server that speaks plain OAuth 2 to any library, and Coze to Coze. It keeps nothing, so that many of them are as one.

mod authorize;
mod client;
mod form;
mod guard;
mod log;
mod machines;
mod metadata;
mod names;
mod refusal;
mod routes;
mod serve;
mod token;
mod upstream;
mod userinfo;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use coze_auth::{Client, Endpoints};
use serde::Serialize;

use crate::app::{App, AppFlags, RegionName};
use crate::failure::{Failure, Kind};
use crate::profile::AppKind;
use crate::{Common, interrupts, output};
use log::{Log, Logged};
use machines::Machines;
use names::{Names, PublicUrl};

/// Serve plain OAuth 2 for libraries and programs that do not know Coze
///
/// A program with an OAuth field is told this server's address in the place of Coze's: it finds /.well-known/oauth-authorization-server
/// there, or is given /authorize, /token, /device_authorization and /userinfo by hand, with the client id and the client secret of an
/// app of Coze's console. The server keeps nothing: what it is sent goes on to Coze as Coze wants it, and what Coze answers comes back
/// as RFC 6749 has it. It is not OpenID Connect, and gives no id_token.
///
/// It listens on this machine alone unless --public-url says by which name others reach it. TLS is what stands before it.
///
/// Example: coze-auth bridge --region cn
#[derive(Debug, clap::Args)]
pub(crate) struct Bridge {
    /// Which Coze it is, unless COZE_API_BASE says where the API is
    #[arg(long, value_enum, conflicts_with = "config")]
    region: Option<RegionName>,
    /// Address to listen on; one that other machines reach needs --public-url
    #[arg(long, value_name = "IP:PORT", value_parser = address, default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8555))]
    listen: SocketAddr,
    /// Address by which clients and browsers reach it, such as https://coze-oauth.example.com
    #[arg(long, value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// Another name by which clients reach it, as they write it in Host; may be said several times
    #[arg(long, value_name = "HOST[:PORT]", requires = "public_url")]
    allow_host: Vec<String>,
    /// Origin whose pages may call it, such as https://app.example.com; may be said several times
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Let --public-url be http: everybody on the way can read every secret
    #[arg(long, requires = "public_url")]
    allow_plain_http: bool,
    /// File with the clients that get machine tokens by client_credentials: JSON, {"client id": "client secret", …}
    #[arg(long, value_name = "FILE")]
    machine_clients: Option<PathBuf>,
    /// File coze_oauth_config.json of the JWT app whose key signs for machine tokens [env: COZE_JWT_OAUTH_CLIENT_ID, …]
    #[arg(long, value_name = "FILE", requires = "machine_clients")]
    config: Option<PathBuf>,
    /// What is told on standard error
    #[arg(long, value_enum, default_value_t = Logged::Failures)]
    log: Logged,
}

/// What all requests share: settings alone.
#[derive(Debug)]
struct Shared {
    endpoints: Endpoints,
    /// The authorize page of each login that is not limited to a workspace.
    authorize_page: String,
    client: Client,
    machines: Option<Machines>,
    names: Names,
    log: Log,
}

/// What is told of a bridge that listens, in JSON.
#[derive(Serialize)]
struct Listening<'a> {
    issuer: &'a str,
    listen: SocketAddr,
    api_base: &'a str,
    client_credentials: bool,
}

/// Longer than Coze's answer may take, so that no request under way is cut off: its refresh token would be lost.
const DRAIN: Duration = Duration::from_secs(35);

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "say an IP address and a port, such as 127.0.0.1:8555; port 0 is a free one")
}

impl Bridge {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let flags = AppFlags::of_bridge(self.region, self.config.as_deref());
        let (endpoints, machines) = match &self.machine_clients {
            None => (flags.endpoints()?, None),
            Some(file) => {
                let App::Jwt(app) = flags.app(AppKind::Jwt)? else {
                    return Err(Failure::new(
                        Kind::Settings,
                        "--config is not the file of a JWT app, and no other has a key that signs",
                    ));
                };
                (app.endpoints().clone(), Some(Machines::read(file, app)?))
            }
        };
        let authorize_page = endpoints.authorize_page(None)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Kind::TryAgain, format!("no runtime: {error}")))?;
        // What is told then is the log's: nobody waits for who reads standard error.
        interrupts::hold("");
        runtime.block_on(async {
            let (listener, names) = self.listen().await?;
            let (log, writer) = Log::new(self.log);
            let shared = Shared {
                client: Client::new()?,
                authorize_page,
                endpoints,
                machines,
                names,
                log,
            };
            self.tell(common, &shared)?;
            serve::serve(listener, shared, &writer, DRAIN).await
        })
    }

    async fn listen(&self) -> Result<(tokio::net::TcpListener, Names), Failure> {
        let usage = |text: String| Failure::new(Kind::Usage, text);
        if !self.listen.ip().is_loopback() && self.public_url.is_none() {
            return Err(usage(format!(
                "{} can be reached from other machines: say --public-url with the address by which they reach it (a proxy's before \
                 it, with TLS), or listen on 127.0.0.1",
                self.listen
            )));
        }
        if let Some(url) = &self.public_url
            && url.is_exposed()
            && !self.allow_plain_http
        {
            return Err(usage(format!(
                "--public-url {url} is not https: secrets and tokens would go over the network as they are; name the https address \
                 of the proxy before it, or say --allow-plain-http"
            )));
        }
        let listener = tokio::net::TcpListener::bind(self.listen).await;
        let failed = |error: std::io::Error| {
            Failure::new(
                Kind::Settings,
                format!(
                    "cannot listen on {}: {error}; say another address with --listen",
                    self.listen
                ),
            )
        };
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let names = Names::new(
            address,
            self.public_url.clone(),
            &self.allow_host,
            &self.allow_origin,
        )
        .map_err(usage)?;
        Ok((listener, names))
    }

    fn tell(&self, common: &Common, shared: &Shared) -> Result<(), Failure> {
        let issuer = shared.names.issuer(None);
        let api_base = shared.endpoints.api_base();
        if common.json {
            return output::line(output::json(&Listening {
                issuer: &issuer,
                listen: shared.names.listen(),
                api_base,
                client_credentials: shared.machines.is_some(),
            }));
        }
        let machines = match &shared.machines {
            Some(machines) => match machines.len() {
                1 => "1 configured client".to_owned(),
                several => format!("{several} configured clients"),
            },
            None => "nobody (no --machine-clients)".to_owned(),
        };
        output::line(format_args!(
            "OAuth 2 for Coze at {api_base}\n\
             issuer                {issuer}\n\
             authorization         {issuer}/authorize\n\
             token                 {issuer}/token\n\
             device authorization  {issuer}/device_authorization\n\
             profile               {issuer}/userinfo\n\
             client_credentials    for {machines}\n\
             listening on          {}",
            shared.names.listen()
        ))
    }
}
