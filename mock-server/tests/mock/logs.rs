//! What the mock logs, caught thread by thread.

use std::cell::RefCell;
use std::io;
use std::sync::LazyLock;

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct LogOfThisThread;

impl io::Write for LogOfThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what each thread logs. For the whole program and before its first request: a place that
/// logs while no one listens may be switched off for good, whoever listens later.
pub(crate) fn catch() {
    static CATCHING: LazyLock<()> = LazyLock::new(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(|| LogOfThisThread)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only one");
    });
    LazyLock::force(&CATCHING);
}

/// What this thread has logged so far; in memory, requests are answered on the caller's thread.
pub(crate) fn of_this_thread() -> String {
    LOG.with_borrow(|log| String::from_utf8(log.clone()).expect("text"))
}
