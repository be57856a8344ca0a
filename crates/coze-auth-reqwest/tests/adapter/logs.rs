//! What the HTTP library logs. This crate itself logs nothing.

use std::sync::Mutex;

use coze_auth_reqwest::Client;

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

#[tokio::test]
async fn no_secret_is_logged_unless_connections_are_verbose() {
    // A process has one logger.
    if !is_child() {
        return run_child(
            "logs::no_secret_is_logged_unless_connections_are_verbose",
            &[],
        );
    }
    log::set_logger(&Logger).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let server = Listener::saying(http_answer("200 OK", TOKEN));
    for verbose in [false, true] {
        let make = move || reqwest::Client::builder().connection_verbose(verbose);
        let client = Client::with_builder(make).unwrap();
        client.run(exchange(&server.base())).await.unwrap();
        let logged = std::mem::take(&mut *LOGGED.lock().unwrap());
        assert!(!logged.is_empty());
        let leaks: Vec<_> = logged
            .iter()
            .filter(|(_, text)| text.contains(SENTINEL))
            .map(|(target, _)| target.as_str())
            .collect();
        // As the crate's documentation warns.
        assert_eq!(leaks.is_empty(), !verbose, "{leaks:?}");
        assert!(
            leaks
                .iter()
                .all(|target| *target == "reqwest::connect::verbose")
        );
    }
}
