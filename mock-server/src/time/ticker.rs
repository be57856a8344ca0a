//! Ticks of real time from a thread, since the caller's runtime may have no timer or a paused one.

use std::convert::Infallible;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

/// Ticks until it is dropped, which ends its thread.
#[derive(Debug)]
pub(crate) struct Ticker {
    ticks: mpsc::Receiver<()>,
    _stop: Sender<Infallible>,
}

impl Ticker {
    pub(crate) fn every(period: Duration) -> Self {
        let (tick, ticks) = mpsc::channel(1);
        let (stop, stopped) = channel();
        thread::spawn(move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                if tick.blocking_send(()).is_err() {
                    return;
                }
            }
        });
        Self { ticks, _stop: stop }
    }

    pub(crate) async fn next(&mut self) {
        self.ticks.recv().await;
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.ticks.poll_recv(context).map(|_| ())
    }
}
