//! Waiting on a thread of its own, since the caller's runtime may have no timer, a paused one, or not be there at all.

use std::thread;

use tokio::sync::oneshot;

/// Wakes the waiting thread when nobody wants its result any more.
struct Listener<T, W: Fn()> {
    receiver: oneshot::Receiver<T>,
    wake: W,
}

impl<T, W: Fn()> Drop for Listener<T, W> {
    fn drop(&mut self) {
        self.receiver.close();
        (self.wake)();
    }
}

/// What `work` comes to on a thread of its own; none if the system has no thread for it. `work` is given a function that
/// returns true once nobody wants the result, and is made to ask it again by `wake`.
pub(crate) async fn on_thread<T: Send + 'static>(
    wake: impl Fn(),
    work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let mut listener = Listener { receiver, wake };
    let spawned = thread::Builder::new().spawn(move || {
        let result = work(&|| sender.is_closed());
        // An error means that the listener was dropped.
        let _ = sender.send(result);
    });
    spawned.ok()?;
    (&mut listener.receiver).await.ok()
}
