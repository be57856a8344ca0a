//! `serve --watch`: reads the configuration again when it changes.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use coze_auth_mock::{Builder, CozeAuthMock};

use super::Failure;

const PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Watch<F> {
    /// Reads the configuration and makes a builder.
    builder: F,
    file: PathBuf,
    /// The stamp of the file when it was read, taken before reading, so that no change is missed.
    read: Option<Stamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl<F: Fn() -> Result<Builder, Failure>> Watch<F> {
    pub(crate) fn new(file: PathBuf, builder: F) -> Self {
        let mut watch = Self {
            builder,
            file,
            read: None,
        };
        watch.read = watch.stamp();
        watch
    }

    fn stamp(&self) -> Option<Stamp> {
        let data = fs::metadata(&self.file).ok()?;
        Some(Stamp {
            modified: data.modified().ok(),
            length: data.len(),
        })
    }

    pub(crate) async fn run(&mut self, mock: &CozeAuthMock) {
        let mut before = self.read;
        loop {
            tokio::time::sleep(PAUSE).await;
            let now = self.stamp();
            // Editors empty or remove a file before they write it, so a change counts only when the file is at rest.
            let at_rest = now.is_some() && now == before;
            before = now;
            if at_rest && now != self.read {
                self.read = now;
                self.reload(mock);
            }
        }
    }

    fn reload(&self, mock: &CozeAuthMock) {
        let file = self.file.display();
        let builder = (self.builder)();
        match builder.and_then(|builder| mock.reload(builder).map_err(Failure::from)) {
            Ok(()) => {
                tracing::info!(
                    "{file} was read again; changes of seed, listen, public_url, clock and limits apply at the next start"
                );
            }
            Err(failure) => {
                // Through the log, since machines may read it.
                for line in failure.text().lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("{file} has mistakes; the mock keeps its configuration");
            }
        }
    }
}
