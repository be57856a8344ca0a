//! What is logged, at every level, by `log` and by `tracing`, and what panics say.

use std::io::Write;
use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::texts::Texts;
use crate::whole;

static OURS: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static THEIRS: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static PANICS: Mutex<String> = Mutex::new(String::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct To(&'static Mutex<Vec<u8>>);

impl Write for To {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        locked(self.0).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct ByTarget;

impl MakeWriter<'_> for ByTarget {
    type Writer = To;

    fn make_writer(&self) -> To {
        To(&OURS)
    }

    fn make_writer_for(&self, of: &tracing::Metadata<'_>) -> To {
        To(if is_ours(of.target()) { &OURS } else { &THEIRS })
    }
}

fn is_ours(target: &str) -> bool {
    target.starts_with("coze_auth")
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, of: &log::Metadata<'_>) -> bool {
        whole() || is_ours(of.target())
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let to = if is_ours(record.target()) {
            &OURS
        } else {
            &THEIRS
        };
        writeln!(locked(to), "{} {}", record.target(), record.args()).expect("memory");
    }

    fn flush(&self) {}
}

/// A process has one of each.
pub(crate) fn catch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).expect("none is set");
        log::set_max_level(log::LevelFilter::Trace);
        let of_others = if whole() {
            LevelFilter::TRACE
        } else {
            LevelFilter::OFF
        };
        let levels = Targets::new().with_default(of_others);
        let lines = tracing_subscriber::fmt::layer();
        tracing_subscriber::registry()
            .with(lines.with_ansi(false).with_writer(ByTarget))
            .with(levels.with_target("coze_auth", LevelFilter::TRACE))
            .init();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let words = info.to_string();
            // What a transport says on purpose is told here alone.
            let payload = info.payload().downcast_ref::<String>();
            if !payload.is_some_and(|payload| payload.starts_with("cannot send")) {
                before(info);
            }
            *locked(&PANICS) += &format!("{words}\n{info:?}\n");
        }));
    });
}

/// What panics said since this was asked last.
pub(crate) fn panics() -> String {
    std::mem::take(&mut locked(&PANICS))
}

fn taken(from: &Mutex<Vec<u8>>) -> String {
    let bytes = std::mem::take(&mut *locked(from));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Hands over what was logged since the last time.
pub(crate) fn into(texts: &mut Texts) {
    let ours = taken(&OURS);
    if !ours.is_empty() {
        texts.look("log (ours)", ours);
    }
    let theirs = taken(&THEIRS);
    if !theirs.is_empty() {
        texts.theirs(theirs);
    }
    let panics = panics();
    if !panics.is_empty() {
        texts.look("log (ours)", panics);
    }
}
