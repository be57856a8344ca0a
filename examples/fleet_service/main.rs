//! A service that runs several times behind one Redis: one login and one token of each user for all of them.
//!
//! Without docker, each line in a terminal of its own:
//!
//! ```console
//! $ redis-server --port 6400 --save "" --appendonly yes --appendfsync always --dir "$(mktemp -d)"
//! $ cargo run --package coze-auth-mock
//! ```
//!
//! Then the service, as often as you like:
//!
//! ```console
//! $ eval "$(cargo run --quiet --package coze-auth-mock -- env --for rust)"
//! $ export REDIS_URL=redis://127.0.0.1:6400/
//! $ cargo run --package coze-auth-examples --example fleet_service -- 8081
//! $ curl -X POST http://127.0.0.1:8081/login    # a link: approve there
//! $ curl http://127.0.0.1:8081/                 # who has logged in, on each of them
//! $ curl http://127.0.0.1:8081/users/user-42    # one signature for all of them
//! ```

use std::env;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use coze_auth::device::DeviceApp;
use coze_auth::jwt::JwtGrant;
use coze_auth::{Client, Error, ErrorKind, Region, TokenSource, environment, jwt_app_from_env};
use coze_auth_redis::{RedisOptions, RedisStore};
use tokio::net::TcpListener;

/// What all requests share.
struct Service {
    client: Client,
    app: DeviceApp,
    /// The login of the service's own account. It rotates: whoever renews it spends its refresh token.
    login: TokenSource,
    /// Tokens of the service's users.
    users: TokenSource,
}

struct Failed(Error);

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::LoginNeeded => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_GATEWAY,
        };
        (status, format!("{}\n", self.0)).into_response()
    }
}

async fn log_in(State(service): State<Arc<Service>>) -> Result<String, Failed> {
    let started = service.client.run(service.app.start()).await?;
    let link = format!("approve at {}\n", started.verification_uri_complete);
    tokio::spawn(async move {
        let grant = service.client.run(service.app.poll(&started)).await?;
        service.login.install(grant).await?; // from here on, all of them have it
        println!("logged in");
        Ok::<(), Error>(())
    });
    Ok(link)
}

async fn home(State(service): State<Arc<Service>>) -> Result<String, Failed> {
    let user = service.login.whoami().await?;
    Ok(format!("{}\n", user.user_name))
}

async fn of_user(
    State(service): State<Arc<Service>>,
    Path(user): Path<String>,
) -> Result<String, Failed> {
    let token = service.users.session(&user)?.token().await?;
    let length = token.expose().len();
    Ok(format!("{user} has a token of {length} characters\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379/".into());
    let options = RedisOptions::from_url(&url)?;
    for finding in options.check().await? {
        eprintln!("warning: {finding}"); // what of its settings endangers the login
    }
    let store = RedisStore::with(options)?;
    let (client, app) = (Client::new()?, environment(Region::Cn).device_app()?);
    let login = TokenSource::stored_async(&client, app.clone(), "the-service", store.clone())?;
    let jwt = TokenSource::jwt(&client, jwt_app_from_env(Region::Cn)?, JwtGrant::new());
    let service = Arc::new(Service {
        login: login.observe(|event| eprintln!("{event}")),
        users: jwt
            .shared_async(store)?
            .observe(|event| eprintln!("{event}")),
        client,
        app,
    });
    let router = Router::new()
        .route("/", get(home))
        .route("/login", post(log_in))
        .route("/users/{user}", get(of_user))
        .with_state(service.clone());
    let port = env::args().nth(1).unwrap_or_else(|| "0".into()).parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await?;
    service.users.close().await?;
    Ok(service.login.close().await?)
}
