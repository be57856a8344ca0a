//! Ctrl-C and its like: they end a command at once, but not in the middle of a renewal, whose login would be lost.

use std::sync::LazyLock;

use coze_auth::blocking::Signal;

/// Set by the first signal that comes while something must not be ended.
static CANCEL: LazyLock<Signal> = LazyLock::new(Signal::new);

/// What calls off a wait.
pub(crate) fn cancel() -> &'static Signal {
    &CANCEL
}

#[cfg(unix)]
mod system {
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// Set while a signal must not end the process: what the person is told then.
    static HELD: Mutex<Option<&str>> = Mutex::new(None);
    /// The signal that arrived meanwhile.
    static CAUGHT: AtomicI32 = AtomicI32::new(0);

    pub(crate) fn watch() {
        let ignored = ignored();
        let all = [SIGINT, SIGTERM, SIGHUP].into_iter();
        let watched = all.filter(|signal| ignored >> (signal - 1) & 1 == 0);
        // Without it signals end the process as they always do.
        let Ok(mut signals) = Signals::new(watched) else {
            return;
        };
        thread::spawn(move || {
            for signal in signals.forever() {
                let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
                let is_first = CAUGHT.swap(signal, Ordering::SeqCst) == 0;
                match *held {
                    Some(told) if is_first => {
                        if !told.is_empty() {
                            crate::output::tell(format_args!("coze-auth: {told}"));
                        }
                        super::CANCEL.set();
                    }
                    _ => drop(emulate_default_handler(signal)),
                }
            }
        });
    }

    /// The signals that this process was started to ignore, by `nohup` say, a bit for each: they stay so, for the program of
    /// `exec`, too, where a handler of ours would end as the default. It is told on Linux.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.unwrap_or_default()
    }

    /// From here on the first signal does not end the process, and the person is told why, if there is anything to tell.
    pub(crate) fn hold(told: &'static str) {
        *HELD.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    /// From here on signals end the process, and one that arrived meanwhile does so now.
    pub(crate) fn release() {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        let signal = CAUGHT.load(Ordering::SeqCst);
        if signal != 0 {
            let _ = emulate_default_handler(signal);
        }
    }

    pub(crate) fn end_by_closed_output() {
        let _ = emulate_default_handler(SIGPIPE);
    }
}

/// Without the signals of Unix, Ctrl-C ends a command at once.
#[cfg(not(unix))]
mod system {
    pub(crate) const fn watch() {}
    pub(crate) const fn hold(_: &'static str) {}
    pub(crate) const fn release() {}
    pub(crate) const fn end_by_closed_output() {}
}

pub(crate) use system::{end_by_closed_output, hold, release, watch};
