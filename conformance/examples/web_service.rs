//! A web service for many users: each logs in with Coze, and the service calls the API for them, also after a restart.
//!
//! It takes the app from `COZE_WEB_OAUTH_…`, and a folder for its data. `GET /login` sends the browser to Coze, which sends it
//! back to `/callback`; `GET /` calls the API as the user; `POST /logout` ends it. The service stops when its input ends.

use std::sync::{Arc, Mutex};
use std::{collections::HashMap, env, fs, io, path::PathBuf};

use axum::Router;
use axum::extract::State;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use coze_auth_reqwest::core::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth_reqwest::core::{Region, web::WebApp, whoami};
use coze_auth_reqwest::store::FileStore;
use coze_auth_reqwest::{Client, Error, ErrorKind, Logins, entropy, environment};
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

type Shared = State<Arc<Service>>;
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
    let headers = [(LOCATION, to), (SET_COOKIE, &cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

async fn login(State(service): Shared) -> Answer {
    let (url, pending) = service.app.authorize(&service.redirect, entropy()?)?;
    let (id, mut begun) = (new_session(), service.begun.lock().unwrap());
    if begun.len() >= 10_000 {
        begun.clear(); // anybody can begin, and may have to begin anew
    }
    begun.insert(id.clone(), pending);
    Ok(redirect(url.as_str(), &id))
}

async fn callback(State(service): Shared, headers: HeaderMap, uri: Uri) -> Answer {
    let begun = |id| service.begun.lock().unwrap().get(id).cloned();
    let Some(pending) = begun(session(&headers)) else {
        return Ok((StatusCode::BAD_REQUEST, "begin at /login\n").into_response());
    };
    // After a stray callback the login goes on: it is still there.
    let call = service
        .app
        .exchange(pending, &Callback::parse(&uri.to_string())?)?;
    service.begun.lock().unwrap().remove(session(&headers));
    let grant = service.client.run(call).await?;
    let whoami = whoami(service.app.endpoints(), &grant.access_token);
    let user = service.client.run(whoami).await?.user_id;
    service.logins.install(&user, grant).await?;
    // Not the session from before the login, which somebody may have planted.
    let id = new_session();
    fs::write(service.sessions.join(&id), user).expect("a folder of ours");
    Ok(redirect("/", &id))
}

async fn home(State(service): Shared, headers: HeaderMap) -> Answer {
    let Ok(user) = fs::read_to_string(service.sessions.join(session(&headers))) else {
        return Ok((StatusCode::UNAUTHORIZED, "log in at /login\n").into_response());
    };
    let name = service.logins.of(&user)?.whoami().await?.user_name;
    Ok(name.to_string().into_response())
}

async fn logout(State(service): Shared, headers: HeaderMap) -> Answer {
    let file = service.sessions.join(session(&headers));
    if let Ok(user) = fs::read_to_string(&file) {
        service.logins.forget(&user).await?;
        let _ = fs::remove_file(file);
    }
    Ok(redirect("/", ""))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let data = PathBuf::from(env::args().nth(1).expect("a folder"));
    let store = FileStore::new(&data)?; // makes the folder, for this user alone
    let (client, app) = (Client::new()?, environment(Region::Cn).web_app()?);
    fs::create_dir_all(data.join("sessions")).expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let service = Arc::new(Service {
        logins: Logins::new(&client, app.clone(), store).observe(|event| eprintln!("{event}")),
        // Where the service has a name, the one that is registered: `web_redirect_uri`.
        redirect: RedirectUri::new(format!("{url}/callback"))?,
        begun: Mutex::default(),
        client,
        app,
        sessions: data.join("sessions"),
    });
    let router = Router::new()
        .route("/", get(home))
        .route("/login", get(login))
        .route("/callback", get(callback))
        .route("/logout", post(logout))
        .with_state(service.clone());
    println!("{url}");
    let end = tokio::task::spawn_blocking(|| io::read_to_string(io::stdin()));
    let served = axum::serve(listener, router).with_graceful_shutdown(async { drop(end.await) });
    served.await.expect("it serves");
    service.logins.close().await
}
