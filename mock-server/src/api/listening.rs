//! The task or thread that serves a mock.

use std::thread::JoinHandle;

use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) enum Listening {
    Task {
        stop: oneshot::Sender<()>,
        task: tokio::task::JoinHandle<()>,
    },
    Thread {
        stop: Option<oneshot::Sender<()>>,
        thread: Option<JoinHandle<()>>,
    },
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A task ends when its sender is dropped. A thread is joined, so that the port is free afterwards.
        if let Self::Thread { stop, thread } = self {
            drop(stop.take());
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}
