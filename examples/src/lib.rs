//! What the samples share: a mock server in the place of Coze, where nothing is set up. The samples stand beside this folder, a file each.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{self, Command};
use std::{env, fs};

use coze_auth_mock::{CozeAuthMock, DeviceAction};
use ureq::Agent;
use url::Url;

// A sample of what a user writes is what the tests of the token sources run over.
extern crate self as coze_auth_examples;
#[allow(dead_code)]
#[path = "../custom_transport.rs"]
pub mod custom_transport;
#[allow(dead_code)]
#[path = "../custom_transport_blocking.rs"]
pub mod custom_transport_blocking;

/// Lets a sample go on if any variable of Coze's is set. If none is, or with the argument `--mock`, this runs the sample once more, in a process of its
/// own with the variables of a mock server, approves each login, and ends.
///
/// # Panics
///
/// If the mock server or the process cannot be started.
pub fn mock_unless_set_up() {
    let asked = env::args().any(|argument| argument == "--mock");
    let set = env::vars_os().any(|(name, value)| is_cozes(&name) && !value.is_empty());
    if asked || !set {
        process::exit(run_with_mock().expect("a mock server and a process"));
    }
}

/// Returns true for a variable of Coze's own samples, and false for one of our commands, which begin with `COZE_AUTH`.
fn is_cozes(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    variable.starts_with("COZE_") && !variable.starts_with("COZE_AUTH")
}

fn run_with_mock() -> Result<i32, Box<dyn Error>> {
    eprintln!(
        "(a mock server on this machine, where alice approves; set COZE_… variables for Coze)\n"
    );
    let builder = CozeAuthMock::builder().toml("[ttl]\ndevice_interval = 1")?;
    let mock = builder.start_blocking()?;
    // A place for what the sample keeps.
    let folder = env::temp_dir().join(format!("coze-auth-examples-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let program = env::current_exe()?;
    let mut command = Command::new(&program);
    for (name, _) in env::vars_os().filter(|(name, _)| is_cozes(name)) {
        command.env_remove(name);
    }
    let of_the_sample = |argument: &OsString| argument != "--mock";
    command.args(env::args_os().skip(1).filter(of_the_sample));
    command.envs(variables(&mock)?).current_dir(&folder);
    if program.file_stem().is_some_and(|name| name == "auth_sat") {
        command.env("COZE_API_TOKEN", "sat_mock_ci");
    }
    command.env("BROWSER", "true"); // no browser is opened: `approve` is the person
    past_proxies(&mut command);
    let (output, end) = io::pipe()?;
    command.stdout(end.try_clone()?).stderr(end);
    let mut sample = command.spawn()?;
    drop(command); // and with it this process's end of the pipe
    let mut stopped = false;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if approve(&mock, &line)? {
            sample.kill()?;
            stopped = true;
        }
    }
    let status = sample.wait()?;
    fs::remove_dir_all(folder)?;
    Ok(if stopped {
        0
    } else {
        status.code().unwrap_or(1)
    })
}

/// The mock is on this machine, where a proxy of the environment does not lead.
pub fn past_proxies(command: &mut Command) {
    command.envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")]);
}

/// The variables that the samples read, with the apps of this mock, and a free port of this machine in the redirect URIs.
///
/// # Errors
///
/// Any, if this machine has no free port.
pub fn variables(mock: &CozeAuthMock) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let port = format!(":{port}/");
    let variables = mock.variables().into_iter();
    let variables = variables.map(|(name, value)| (name, value.replace(":8080/", &port)));
    Ok(variables.collect())
}

/// Does what a person does with the links in a line of a sample's output: follows them where they lead, and approves at Coze. There may be no browser
/// here, so the control plane of the mock decides. Returns true if it was the login of a service, which is over now and would run on.
///
/// # Errors
///
/// Any, if the mock refuses the link, or if nothing answers where it leads.
pub fn approve(mock: &CozeAuthMock, line: &str) -> Result<bool, Box<dyn Error>> {
    let mut of_a_service = false;
    for link in line.split_whitespace() {
        let logs_in = link.starts_with("http://") && link.ends_with("/login");
        if logs_in || link.starts_with(mock.base_url()) {
            open(mock, Url::parse(link)?)?;
        }
        of_a_service |= logs_in;
    }
    Ok(of_a_service)
}

fn open(mock: &CozeAuthMock, mut url: Url) -> Result<(), Box<dyn Error>> {
    let browser = Agent::config_builder().max_redirects(0).proxy(None).build();
    let browser = browser.new_agent();
    let mut cookie = String::new();
    loop {
        if url.as_str().starts_with(mock.base_url()) {
            if let Some((_, code)) = url.query_pairs().find(|(name, _)| name == "user_code") {
                return Ok(mock.decide_device(&code, DeviceAction::Approve)?);
            }
            if url.query().is_none() {
                return Ok(()); // the page where a code is typed: the link with the code came before
            }
            url = Url::parse(&mock.authorize(url.as_str(), true)?)?;
        }
        let page = browser.get(url.as_str()).header("cookie", &cookie).call()?;
        let header = |name| {
            page.headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        if let Some(set) = header("set-cookie") {
            cookie = set.split(';').next().unwrap_or_default().to_owned();
        }
        match header("location") {
            Some(next) => url = url.join(next)?,
            None => return Ok(()),
        }
    }
}
