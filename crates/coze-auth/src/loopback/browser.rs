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
    /// There is no display: neither `DISPLAY` nor `WAYLAND_DISPLAY` is set.
    NoDisplay,
}

impl fmt::Display for NoBrowser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWanted => "none is opened by itself",
            Self::Ssh => "none is opened by itself, since this is an SSH session",
            Self::NoDisplay => {
                "none is opened by itself, since there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set"
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

/// The programs to try in turn. `BROWSER` goes first: who sets it (an editor, over SSH, too) knows what works here.
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
