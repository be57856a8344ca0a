//! What the HTTP library logs. This crate itself logs nothing.

use std::sync::Mutex;

use coze_auth_ureq::Client;

use crate::support::{Listener, SENTINEL, TOKEN, exchange, http_answer, is_child, run_child};

/// All that was logged, as target and text.
static LOGGED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = (record.target().to_owned(), record.args().to_string());
        LOGGED.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

#[test]
fn no_secret_is_logged_but_by_ureq_proto_at_trace() {
    // A process has one logger.
    if !is_child() {
        return run_child("logs::no_secret_is_logged_but_by_ureq_proto_at_trace", &[]);
    }
    log::set_logger(&Logger).unwrap();
    let server = Listener::saying(http_answer("200 OK", TOKEN));
    for level in [log::LevelFilter::Debug, log::LevelFilter::Trace] {
        log::set_max_level(level);
        let client = Client::new().unwrap();
        client.run(exchange(&server.base())).unwrap();
        let logged = std::mem::take(&mut *LOGGED.lock().unwrap());
        assert!(logged.iter().any(|(target, _)| target == "ureq::run"));
        let mut dump = String::new();
        for (target, text) in logged {
            match target.as_str() {
                // The last column of a hex dump.
                "ureq_proto::util" => dump += &text[text.len() - 16..],
                _ => assert!(!text.contains(SENTINEL), "{target}: {text}"),
            }
        }
        // As the crate's documentation warns.
        let leaks = dump.contains(SENTINEL);
        assert_eq!(leaks, level == log::LevelFilter::Trace, "{dump}");
    }
}
