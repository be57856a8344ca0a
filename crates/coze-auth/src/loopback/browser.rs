//! Opening the address in a browser, by what the system has for it.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::{Command, Stdio};
use std::thread;

use coze_auth_core::authorize::AuthorizeUrl;

use super::{Notice, Notify};

/// Why no browser is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NoBrowser {
    /// The program does not want one.
    NotWanted,
    /// This is an SSH session: a browser would open at the other end, if anywhere.
    Ssh,
    /// This session has no display: neither `DISPLAY` nor `WAYLAND_DISPLAY` is set.
    NoDisplay,
}

impl fmt::Display for NoBrowser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWanted => "none is opened by itself",
            Self::Ssh => "none is opened by itself, since this is an SSH session",
            Self::NoDisplay => {
                "none is opened by itself, since this session has no display: neither DISPLAY nor WAYLAND_DISPLAY is set"
            }
        })
    }
}

type Open = Box<dyn FnOnce(&AuthorizeUrl) -> io::Result<()> + Send>;

/// Who opens the address.
pub(super) enum Opener {
    OfTheMachine,
    OfTheCaller(Open),
    Nobody,
}

impl Opener {
    /// How it is done here and now, or why not.
    pub(super) fn here(self) -> Result<Way, NoBrowser> {
        match self {
            Self::OfTheMachine => of_the_machine(|name| std::env::var_os(name)).map(Way::Programs),
            Self::OfTheCaller(open) => Ok(Way::OfTheCaller(open)),
            Self::Nobody => Err(NoBrowser::NotWanted),
        }
    }
}

/// A program to try, with its arguments; `%s` stands for the address, which else comes last.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Program {
    words: Vec<String>,
    /// The person named it, and it may need the terminal: `w3m`.
    has_terminal: bool,
}

/// How the address is opened.
pub(super) enum Way {
    OfTheCaller(Open),
    Programs(Vec<Program>),
}

/// The programs to try in turn. `BROWSER` is the first of them: who sets it (an editor, over SSH, too) knows what works here.
fn of_the_machine(variable: impl Fn(&str) -> Option<OsString>) -> Result<Vec<Program>, NoBrowser> {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let named = variable("BROWSER").unwrap_or_default();
    let named: Vec<Program> = named
        .to_string_lossy()
        .split(if cfg!(windows) { ';' } else { ':' })
        .map(|command| command.split_whitespace().map(str::to_owned).collect())
        .filter(|words: &Vec<String>| !words.is_empty())
        .map(|words| Program {
            words,
            has_terminal: true,
        })
        .collect();
    if !named.is_empty() {
        return Ok(named);
    }
    if set("SSH_CONNECTION") || set("SSH_TTY") {
        return Err(NoBrowser::Ssh);
    }
    let words: &[&str] = if cfg!(windows) {
        // Not `cmd /c start`, which reads the `&` and `%` of an address as its own.
        &["rundll32", "url.dll,FileProtocolHandler"]
    } else if cfg!(target_os = "macos") {
        &["open"]
    } else if set("DISPLAY") || set("WAYLAND_DISPLAY") {
        &["xdg-open"]
    } else {
        return Err(NoBrowser::NoDisplay);
    };
    Ok(vec![Program {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        has_terminal: false,
    }])
}

impl Way {
    /// Opens the address on a thread of its own: a browser in the terminal runs until the person leaves it.
    pub(super) fn open(self, url: AuthorizeUrl, notify: Notify) {
        let failed = notify.clone();
        let open = move || {
            if let Err(why) = self.try_all(&url) {
                notify(&Notice::BrowserFailed { why });
            }
        };
        let started = thread::Builder::new()
            .name("coze-auth browser".into())
            .spawn(open);
        if let Err(error) = started {
            failed(&Notice::BrowserFailed {
                why: error.to_string(),
            });
        }
    }

    /// Why none of them has opened it, without the address.
    fn try_all(self, url: &AuthorizeUrl) -> Result<(), String> {
        let programs = match self {
            Self::OfTheCaller(open) => return open(url).map_err(|error| error.to_string()),
            Self::Programs(programs) => programs,
        };
        let mut why = Vec::new();
        for program in programs {
            match program.run(url.as_str()) {
                Ok(()) => return Ok(()),
                Err(error) => why.push(format!("{}: {error}", program.words[0])),
            }
        }
        Err(why.join("; "))
    }
}

impl Program {
    /// Runs it to its end. That it ends well proves nothing, but that it does not is worth a word.
    fn run(&self, url: &str) -> Result<(), String> {
        let mut command = Command::new(&self.words[0]);
        let is_placed = self.words.iter().any(|word| word.contains("%s"));
        command.args(self.words[1..].iter().map(|word| word.replace("%s", url)));
        if !is_placed {
            command.arg(url);
        }
        if !self.has_terminal {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
        }
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::time::Duration;

    use coze_auth_core::authorize::RedirectUri;
    use coze_auth_core::pkce::PkceApp;
    use coze_auth_core::{Endpoints, Entropy};

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Vec<Vec<String>>, NoBrowser> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let programs = of_the_machine(lookup)?;
        Ok(programs.into_iter().map(|program| program.words).collect())
    }

    #[test]
    fn where_no_browser_can_be_none_is_started() {
        for ssh in ["SSH_CONNECTION", "SSH_TTY"] {
            assert_eq!(of(&[(ssh, "set"), ("DISPLAY", ":0")]), Err(NoBrowser::Ssh));
        }
        if cfg!(all(unix, not(target_os = "macos"))) {
            assert_eq!(of(&[]), Err(NoBrowser::NoDisplay));
            assert_eq!(of(&[("DISPLAY", "")]), Err(NoBrowser::NoDisplay));
            for display in ["DISPLAY", "WAYLAND_DISPLAY"] {
                assert_eq!(of(&[(display, "x")]), Ok(vec![vec!["xdg-open".into()]]));
            }
        } else {
            println!("skipped: displays are told by variables on Linux and its kin alone");
        }
    }

    #[test]
    fn the_browser_that_the_person_names_goes_before_all() {
        let separator = if cfg!(windows) { ";" } else { ":" };
        let named = format!("firefox --new-tab %s{separator}{separator}w3m");
        let named = of(&[("BROWSER", &named), ("SSH_CONNECTION", "set")]);
        let firefox = ["firefox", "--new-tab", "%s"].map(str::to_owned).to_vec();
        assert_eq!(named, Ok(vec![firefox, vec!["w3m".to_owned()]]));
    }

    /// What these programs, one after the other, make of an address.
    fn opened(programs: Vec<Vec<String>>) -> Result<(), String> {
        let (told, notices) = mpsc::channel();
        let app = PkceApp::new(Endpoints::cn(), "1234.app.coze").expect("an app");
        let redirect = RedirectUri::new("http://127.0.0.1:8414/callback").expect("a URI");
        let (url, _) = app
            .authorize(&redirect, Entropy::from_bytes([7; 32]))
            .expect("a URL");
        let programs = programs.into_iter().map(|words| Program {
            words,
            has_terminal: false,
        });
        let notify: Notify = Arc::new(move |notice| {
            let Notice::BrowserFailed { why } = notice else {
                panic!("{notice}");
            };
            told.send(why.clone()).expect("a test");
        });
        Way::Programs(programs.collect()).open(url, notify);
        // The hook is dropped when it is over.
        match notices.recv_timeout(Duration::from_secs(20)) {
            Ok(why) => Err(why),
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_fails_is_told_without_the_address_and_the_next_is_tried() {
        let sh = |script: &str| ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        // The address is one argument, the last, or where `%s` stands.
        let is_address = "case $1 in https://www.coze.cn/*state=*) exit 0;; esac; exit 9";
        assert_eq!(opened(vec![sh(is_address)]), Ok(()));
        let mut placed = sh("case $1$2 in https://www.coze.cn/*state=*last) exit 0;; esac; exit 9");
        placed.extend(["%s".to_owned(), "last".to_owned()]);
        assert_eq!(opened(vec![placed]), Ok(()));
        assert_eq!(opened(vec![sh("exit 7"), sh(is_address)]), Ok(()));
        let missing = vec!["/nonexistent/browser".to_owned()];
        let why = opened(vec![sh("exit 7"), missing]).expect_err("both fail");
        assert_eq!(
            why,
            "sh: exit status: 7; /nonexistent/browser: No such file or directory (os error 2)"
        );
    }
}
