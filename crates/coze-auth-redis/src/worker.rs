//! A thread with a runtime of the store's own: so a store that blocks and one that is awaited are the same, and what was begun ends,
//! though its caller goes away or the runtime of that is shut down.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread. It ends when this is dropped.
pub(crate) struct Worker {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Worker {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let named = thread::Builder::new().name("coze-auth redis".to_owned());
        named.spawn(move || {
            let _ = runtime.block_on(stopped);
            // A look-up of a name may still run.
            runtime.shutdown_background();
        })?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// What was begun and nobody waits for, such as giving leases back.
#[derive(Default)]
pub(crate) struct Pending {
    count: Mutex<usize>,
    less: Condvar,
}

impl Pending {
    /// One more, until the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Begun {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Begun(self.clone())
    }

    /// Waits until none is left, for at most so long.
    pub(crate) fn wait(&self, at_most: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self
            .less
            .wait_timeout_while(count, at_most, |count| *count > 0);
    }
}

pub(crate) struct Begun(Arc<Pending>);

impl Drop for Begun {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.less.notify_all();
    }
}

/// Waits for a future on this thread, whether or not it belongs to a runtime.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}
