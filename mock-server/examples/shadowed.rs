//! A mock, and a shadow before it that shares its clock, for the released SDKs: `mock-server/tests/sdks/run.py --shadow` starts one for
//! each of them. It looks like a mock to their cases, whose worlds come one after the other to the port that the shadow leads to.

use std::error::Error;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use coze_auth_mock::{ClockHandle, CozeAuthMock, DeviceAction, MockWorld, Shadow};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Protocol §3.2.
const DEVICE_LIFE: Duration = Duration::from_secs(300);

type Fault = Box<dyn Error + Send + Sync>;

struct Front {
    mock: CozeAuthMock,
    shadow: Shadow,
    clock: ClockHandle,
    is_proxy: bool,
    config: PathBuf,
    /// Of the world that the shadow leads to.
    port: u16,
    /// What the SDKs have as their base.
    sdk_base: String,
    own_base: String,
}

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// The port of the world before is free when its last connection has seen that it has ended.
async fn open(world: &MockWorld, port: u16) -> Result<String, Fault> {
    let mut left = 200;
    loop {
        match world.open_port(port) {
            Ok(url) => return Ok(url),
            Err(error) if left == 0 => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        left -= 1;
    }
}

impl Front {
    async fn make(&self, request: &Value) -> Result<Value, Fault> {
        let text = |name: &str| request[name].as_str().ok_or_else(|| format!("no {name}"));
        let name = text("name")?;
        self.clock.set(now());
        let settings = CozeAuthMock::builder().toml_file(&self.config)?;
        let settings = settings.toml(text("config")?)?.clock(self.clock.clone());
        open(&self.mock.make_world(name, settings)?, self.port).await?;
        Ok(json!({
            "base_url": format!("{}/t/{name}", self.own_base),
            "port_url": self.sdk_base,
            "browser_url": self.shadow.base_url(),
        }))
    }

    /// The person's browser: opens the URL through the shadow, and decides on the consent page. Gives where it is sent in the end.
    async fn authorize(&self, world: &str, request: &Value) -> Result<String, Fault> {
        let text = |name: &str| request[name].as_str().ok_or_else(|| format!("no {name}"));
        let (url, action) = (url::Url::parse(text("url")?)?, text("action")?);
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        // Apps that are approved without the page cannot be denied there.
        if self.is_proxy && action == "deny" {
            let world = self.mock.world(world)?;
            let url = format!("{}{target}", world.base_url());
            return Ok(world.authorize(&url, false)?);
        }
        let shadow = self.shadow.base_url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(shadow).await?;
        let asked = format!("GET {target} HTTP/1.1\r\nHost: {shadow}\r\nConnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let to = answer.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location").then_some(value)
        });
        let to = url::Url::parse(to.ok_or("the authorize request was refused")?)?;
        let mut pairs = to.query_pairs();
        let Some((_, key)) = pairs.find(|(name, _)| name == "authorize_key") else {
            return Ok(to.into());
        };
        let form = format!("authorize_key={key}&action={action}");
        let decided = Request::post(format!("/t/{world}/oauth/consent"))
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form))?;
        let decided = self.mock.call(decided).await;
        let back = decided.headers().get("location");
        Ok(back.ok_or("the decision was refused")?.to_str()?.to_owned())
    }
}

fn answered(done: Result<Value, Fault>) -> Response {
    match done {
        Ok(value) => Json(value).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, why.to_string()).into_response(),
    }
}

async fn make(State(front): State<Arc<Front>>, Json(request): Json<Value>) -> Response {
    answered(front.make(&request).await)
}

async fn authorize(
    State(front): State<Arc<Front>>,
    Path(world): Path<String>,
    Json(request): Json<Value>,
) -> Response {
    let redirect = front.authorize(&world, &request).await;
    answered(redirect.map(|redirect| json!({ "redirect": redirect })))
}

/// What a person does on the device page. Nobody can end a device code before its time, so the time passes.
async fn decide(
    State(front): State<Arc<Front>>,
    Path((world, user_code)): Path<(String, String)>,
    Json(request): Json<Value>,
) -> Response {
    let action = match request["action"].as_str() {
        Some("approve") => DeviceAction::Approve,
        Some("deny") => DeviceAction::Deny,
        _ => {
            front.clock.advance(DEVICE_LIFE);
            return answered(Ok(json!({})));
        }
    };
    let world = front.mock.world(&world).map_err(Fault::from);
    let decided = world.and_then(|world| Ok(world.decide_device(&user_code, action)?));
    answered(decided.map(|()| json!({})))
}

/// All else is the mock's.
async fn pass(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match to_bytes(body, 1 << 20).await {
        Ok(body) => {
            let answer = front.mock.call(Request::from_parts(head, body)).await;
            answer.map(axum::body::Body::from)
        }
        Err(why) => answered(Err(why.into())),
    }
}

/// `shadowed CONFIG [--proxy]`: the mock's configuration, and whether the SDKs have the shadow as their proxy or as their base. Prints
/// what `coze-auth-mock --print json` prints, and the shadow's address; with `--proxy` its certificate, too. Ends with standard input.
#[tokio::main]
async fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let config = PathBuf::from(arguments.next().ok_or("expected a configuration")?);
    let is_proxy = arguments.next().as_deref() == Some("--proxy");
    let clock = ClockHandle::frozen_at(now());
    let builder = CozeAuthMock::builder().toml_file(&config)?;
    let builder = builder.clock(clock.clone());
    let builder = if is_proxy { builder.tls() } else { builder };
    let mock = builder.start().await?;
    let mut info = mock.info();
    let first = mock.world("first")?;
    let port = url::Url::parse(&first.open_port(0)?)?;
    let port = port.port().ok_or("a port")?;
    let scheme = if is_proxy { "https" } else { "http" };
    let upstream = format!("{scheme}://api.coze.localhost:{port}");
    let shadow = Shadow::builder(&upstream)
        .config(&config)
        .clock(clock.clone());
    let ca = std::env::temp_dir().join(format!("coze-auth-shadowed-{port}.pem"));
    let shadow = match mock.ca_pem() {
        Some(pem) => {
            std::fs::write(&ca, pem)?;
            let started = shadow.upstream_ca(&ca).start().await;
            std::fs::remove_file(&ca)?;
            started?
        }
        None => shadow.start().await?,
    };
    mock.remove_world("first");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own_base = format!("http://{}", listener.local_addr()?);
    info["base_url"] = own_base.as_str().into();
    info["shadow"] = shadow.base_url().into();
    info["shadow_ca"] = shadow.ca_pem().into();
    println!("{info}");
    let sdk_base = match is_proxy {
        true => upstream,
        false => shadow.base_url().to_owned(),
    };
    let front = Front {
        mock,
        shadow,
        clock,
        is_proxy,
        config,
        port,
        sdk_base,
        own_base,
    };
    let router = Router::new()
        .route("/_mock/v1/worlds", post(make))
        .route("/t/{world}/_mock/v1/authorize", post(authorize))
        .route("/t/{world}/_mock/v1/device/{user_code}", post(decide))
        .fallback(pass)
        .with_state(Arc::new(front));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        _ = ended => std::process::exit(0),
    }
}
