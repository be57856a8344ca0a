//! The line that tells a person at a terminal what is waited for, and how long still.

use std::io::{Write as _, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::output;

const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME: Duration = Duration::from_millis(120);

/// The line is drawn until this is dropped. Where no person looks at standard error nothing is drawn.
pub(crate) struct Waiting(Option<(Sender<()>, JoinHandle<()>)>);

impl Waiting {
    /// `line` is asked anew for each frame.
    pub(crate) fn start(line: impl Fn() -> String + Send + 'static) -> Self {
        if !output::is_drawn() {
            return Self(None);
        }
        let (stop, stopped) = channel();
        let draw = thread::spawn(move || {
            for frame in FRAMES.iter().cycle() {
                // What does not fit would be left standing: 79 of 80 columns.
                let text: String = line().chars().take(77).collect();
                let _ = write!(stderr(), "\r\x1b[K{frame} {text}");
                if stopped.recv_timeout(FRAME) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            let _ = write!(stderr(), "\r\x1b[K");
        });
        Self(Some((stop, draw)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((stop, draw)) = self.0.take() {
            drop(stop);
            let _ = draw.join();
        }
    }
}

/// Minutes and seconds, of a time that is rounded up.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_millis(299_001)), "5:00");
        assert_eq!(clock(Duration::from_secs(61)), "1:01");
        assert_eq!(clock(Duration::ZERO), "0:00");
    }
}
