//! OAuth authorization code (授权码授权): a web service for many users. `/login` sends a browser to Coze, which sends it back;
//! `/` calls the API as the user, also after a restart; `POST /logout` ends it.
//!
//! ```console
//! $ export COZE_WEB_OAUTH_CLIENT_ID=… COZE_WEB_OAUTH_CLIENT_SECRET=…
//! $ export COZE_WEB_OAUTH_REDIRECT_URI=http://127.0.0.1:8080/callback   # as registered with the app
//! $ cargo run --example auth_oauth_web -- [FOLDER]
//! ```

use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, extract::State};
use coze_auth::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth::{Client, Error, ErrorKind, Logins, Region, entropy, environment};
use coze_auth::{store::FileStore, web::WebApp, whoami::whoami};
use std::{collections::HashMap, env, fs, path::PathBuf, sync::Arc, sync::Mutex};
use tokio::net::TcpListener;

/// What all requests share.
struct Service {
    client: Client,
    app: WebApp,
    redirect: RedirectUri,
    logins: Logins,
    /// The login that each browser has begun, by its session. One that a restart cuts off is begun anew.
    begun: Mutex<HashMap<String, PendingAuthorization>>,
    /// A file for each session of a user, with the user's id in it: a restart logs nobody out.
    sessions: PathBuf,
}

type Answer = Result<Response, Failed>;
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
            ErrorKind::Other => StatusCode::BAD_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        };
        (status, self.0.to_string()).into_response()
    }
}

/// The session of a request. It names a file, so it has to look like one of ours.
fn session(headers: &HeaderMap) -> &str {
    let cookies = headers.get(COOKIE).and_then(|value| value.to_str().ok());
    let mut cookies = cookies.unwrap_or_default().split("; ");
    let id = cookies.find_map(|cookie| cookie.strip_prefix("session="));
    let is_ours = |id: &&str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    id.filter(is_ours).unwrap_or("none")
}

fn new_session() -> String {
    let random = || getrandom::u64().expect("the system has random bytes");
    format!("{:016x}{:016x}", random(), random())
}

/// To this place, with this session. Add `Secure` where the service has https.
fn redirect(to: &str, session: &str) -> Response {
    let cookie = format!("session={session}; HttpOnly; SameSite=Lax; Path=/");
    let to = [(LOCATION, to), (SET_COOKIE, &cookie)];
    (StatusCode::SEE_OTHER, to).into_response()
}

async fn login(State(service): State<Arc<Service>>) -> Answer {
    let (url, pending) = service.app.authorize(&service.redirect, entropy()?)?;
    let (id, mut begun) = (new_session(), service.begun.lock().unwrap());
    if begun.len() >= 10_000 {
        begun.clear(); // anybody can begin, and may have to begin anew
    }
    begun.insert(id.clone(), pending);
    Ok(redirect(url.as_str(), &id))
}

async fn callback(State(service): State<Arc<Service>>, headers: HeaderMap, uri: Uri) -> Answer {
    let begun = |id| service.begun.lock().unwrap().get(id).cloned();
    let Some(pending) = begun(session(&headers)) else {
        return Ok((StatusCode::BAD_REQUEST, "begin at /login\n").into_response());
    };
    // After a stray callback the login goes on: it is still there.
    let callback = Callback::parse(&uri.to_string())?;
    let call = service.app.exchange(pending, &callback)?;
    service.begun.lock().unwrap().remove(session(&headers));
    let grant = service.client.run(call).await?;
    let whoami = whoami(service.app.endpoints(), &grant.access_token);
    let user = service.client.run(whoami).await?;
    service.logins.install(&user.user_id, grant).await?;
    // Not the session from before the login, which somebody may have planted.
    let id = new_session();
    fs::write(service.sessions.join(&id), user.user_id).expect("a folder of ours");
    println!("{} has logged in", user.user_name);
    Ok(redirect("/", &id))
}

async fn home(State(service): State<Arc<Service>>, headers: HeaderMap) -> Answer {
    let Ok(user) = fs::read_to_string(service.sessions.join(session(&headers))) else {
        return Ok((StatusCode::UNAUTHORIZED, "log in at /login\n").into_response());
    };
    let user = service.logins.of(&user)?.whoami().await?;
    Ok(user.user_name.to_string().into_response())
}

async fn logout(State(service): State<Arc<Service>>, headers: HeaderMap) -> Answer {
    let file = service.sessions.join(session(&headers));
    if let Ok(user) = fs::read_to_string(&file) {
        service.logins.forget(&user).await?;
        let _ = fs::remove_file(file);
    }
    Ok(redirect("/", ""))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out
    let settings = environment(Region::Cn);
    let (app, redirect) = (settings.web_app()?, settings.web_redirect_uri()?);
    let data = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "coze-web".into()));
    let (client, store) = (Client::new()?, FileStore::new(&data)?); // a folder for this user alone
    fs::create_dir_all(data.join("sessions"))?;
    let site = url::Url::parse(redirect.as_str())?; // where the browser comes back to
    let service = Arc::new(Service {
        logins: Logins::new(&client, app.clone(), store).observe(|event| eprintln!("{event}")),
        begun: Mutex::default(),
        sessions: data.join("sessions"),
        client,
        app,
        redirect,
    });
    let router = Router::new()
        .route("/", get(home))
        .route("/login", get(login))
        .route(site.path(), get(callback))
        .route("/logout", post(logout))
        .with_state(service.clone());
    let listener = TcpListener::bind(("127.0.0.1", site.port().unwrap_or(8080))).await?; // behind a proxy: 8080
    println!("log in at {}", site.join("/login")?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let served = axum::serve(listener, router).with_graceful_shutdown(stop);
    served.await?;
    Ok(service.logins.close().await?)
}
