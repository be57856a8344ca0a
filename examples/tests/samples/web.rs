//! `auth_oauth_web`, as browsers see it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use coze_auth_mock::CozeAuthMock;
use serde_json::{Value, json};
use ureq::Agent;

use crate::support::{Folder, package, sample};

/// The service at work, killed with the test.
struct Service {
    child: Child,
    url: String,
}

impl Service {
    fn start(variables: &[(String, String)], data: &Folder) -> Self {
        let mut command = sample("auth_oauth_web");
        command.arg(&data.0).stdout(Stdio::piped());
        let is_its = |name: &str| name == "COZE_API_BASE" || name.starts_with("COZE_WEB_OAUTH_");
        command.envs(variables.iter().filter(|(name, _)| is_its(name)).cloned());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("log in at ");
        let url = url.and_then(|url| url.strip_suffix("/login"));
        let url = url.unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, url }
    }

    /// Ends as its operator ends it.
    fn stop(mut self) {
        let id = self.child.id().to_string();
        let ended = Command::new("kill").args(["-INT", &id]).status();
        assert!(ended.unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A browser that follows no redirect by itself.
struct Browser {
    agent: Agent,
    cookie: String,
}

struct Page {
    status: u16,
    location: String,
    text: String,
}

impl Browser {
    fn new() -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            // The mock and the service are on this machine, past any proxy of the environment.
            .proxy(None);
        let cookie = String::new();
        let agent = config.build().into();
        Self { agent, cookie }
    }

    fn open(&mut self, method: &str, url: &str) -> Page {
        let request = ureq::http::Request::builder().method(method).uri(url);
        let request = request.header("cookie", format!("theme=dark; {}", self.cookie));
        let mut answer = self.agent.run(request.body(()).unwrap()).unwrap();
        let header = |name| Some(answer.headers().get(name)?.to_str().unwrap().to_owned());
        let location = header("location").unwrap_or_default();
        if let Some(cookie) = header("set-cookie") {
            assert!(cookie.contains("; HttpOnly; SameSite=Lax; "), "{cookie}");
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        Page {
            status: answer.status().as_u16(),
            location,
            text: answer.body_mut().read_to_string().unwrap(),
        }
    }

    /// To the consent page, and the address that it leads back to.
    fn consent(&mut self, mock: &CozeAuthMock, service: &Service, user: &str) -> String {
        let login = self.open("GET", &format!("{}/login", service.url));
        assert_eq!(login.status, 303);
        let url = format!("{}/_mock/v1/authorize", mock.base_url());
        let body = json!({"url": login.location, "action": "approve", "user": user});
        let mut answer = self.agent.post(url).send(body.to_string()).unwrap();
        let answer = answer.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["redirect"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    fn home(&mut self, service: &Service) -> (u16, String) {
        let page = self.open("GET", &format!("{}/", service.url));
        (page.status, page.text)
    }
}

#[test]
fn many_users_log_in_stay_over_a_restart_and_log_out() {
    let source = package().join("auth_oauth_web.rs");
    let lines = std::fs::read_to_string(source).unwrap().lines().count();
    assert!(lines <= 150, "{lines} lines: it is to be read at once");

    let users =
        "[[user]]\nname = \"alice\"\n[[user]]\nname = \"bob\"\n[[user]]\nname = \"carol\"\n";
    let mock = CozeAuthMock::builder().toml(users).unwrap();
    let mock = mock.start_blocking().unwrap();
    let folder = Folder::new("web");
    // The port of the redirect URI is free now, and the same after the restart.
    let variables = coze_auth_examples::variables(&mock).unwrap();
    let service = Service::start(&variables, &folder);
    let asks_to_log_in = (401, "log in at /login\n".to_owned());

    let names = ["alice", "bob"];
    let mut browsers = names.map(|_| Browser::new());
    let callbacks = [0, 1].map(|i| browsers[i].consent(&mock, &service, names[i]));
    // The other's callback is nobody's here, and the login goes on.
    let stray = browsers[0].open("GET", &callbacks[1]);
    assert_eq!(stray.status, 400, "{}", stray.text);
    assert_eq!(Browser::new().open("GET", &callbacks[0]).status, 400);
    for (browser, callback) in browsers.iter_mut().zip(&callbacks) {
        let before = browser.cookie.clone();
        let page = browser.open("GET", callback);
        assert_eq!((page.status, &*page.location), (303, "/"), "{}", page.text);
        assert_ne!(browser.cookie, before, "a session from before the login");
        assert_eq!(browser.open("GET", callback).status, 400, "it works once");
    }
    let mut strangers = [
        "session=../alice",
        "session=00000000000000000000000000000000",
    ]
    .map(|cookie| {
        let mut browser = Browser::new();
        browser.cookie = cookie.to_owned();
        browser
    });
    let mut all_are_at_home = |service: &Service| {
        for (browser, name) in browsers.iter_mut().zip(names) {
            assert_eq!(browser.home(service), (200, name.to_owned()));
        }
        for stranger in &mut strangers {
            assert_eq!(stranger.home(service), asks_to_log_in);
        }
    };
    all_are_at_home(&service);
    let requests = || {
        let all = mock.requests();
        all.iter()
            .filter(|request| request.endpoint == "token")
            .count()
    };
    assert_eq!(requests(), 2, "a login each");
    service.stop();

    let service = Service::start(&variables, &folder);
    all_are_at_home(&service);
    assert_eq!(
        requests(),
        2,
        "nobody had to log in, and nothing was renewed"
    );
    let [alice, bob] = &mut browsers;
    let session = alice.cookie.clone();
    assert_eq!(
        alice
            .open("POST", &format!("{}/logout", service.url))
            .status,
        303
    );
    assert_eq!(alice.home(&service), asks_to_log_in);
    alice.cookie = session;
    assert_eq!(alice.home(&service), asks_to_log_in, "the session is over");
    assert_eq!(bob.home(&service), (200, "bob".to_owned()));
    service.stop();
}
