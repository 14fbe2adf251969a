//! Requests that end whatever their caller does.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{self, Poll};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Work that goes on by itself when it is dropped before its end, so that a caller who hangs up does not stop a change
/// half way; and a panic loses it alone. The same as a task of its own, which few requests come to need.
pub struct ToTheEnd<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tracker: TaskTracker,
}

#[derive(Debug)]
pub struct Panicked;

impl<T: Send + 'static> ToTheEnd<T> {
    /// `tracker` knows of the work once it goes on by itself.
    pub fn new(work: impl Future<Output = T> + Send + 'static, tracker: TaskTracker) -> Self {
        Self { work: Some(Box::pin(work)), tracker }
    }
}

/// The same work on another runtime. It panics as the work does.
pub async fn on<T: Send + 'static>(runtime: Handle, work: impl Future<Output = T> + Send + 'static) -> T {
    match runtime.spawn(work).await {
        Ok(done) => done,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Ready(Err(Panicked)) };
        // A future that panicked is not polled again, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => {
                self.work = None;
                Poll::Ready(Ok(done))
            }
            Err(_) => {
                self.work = None;
                Poll::Ready(Err(Panicked))
            }
        }
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        // Without a runtime the process is going down.
        if let Some(work) = self.work.take()
            && let Ok(runtime) = Handle::try_current()
        {
            self.tracker.spawn_on(work, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::Notify;

    fn another() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).thread_name("another").enable_all().build().unwrap()
    }

    #[tokio::test]
    async fn work_on_another_runtime_is_done_there_and_its_panic_loses_it_alone() {
        let other = another();
        let handle = other.handle().clone();
        let name = async || std::thread::current().name().map(str::to_owned);
        let done = ToTheEnd::new(on(handle.clone(), async move { name().await }), TaskTracker::new()).await;
        assert_eq!(done.unwrap().as_deref(), Some("another"));
        let lost = ToTheEnd::new(on(handle, async { panic!("lost") }), TaskTracker::new());
        let lost: Result<(), Panicked> = lost.await;
        assert!(lost.is_err());
        other.shutdown_background();
    }

    #[tokio::test]
    async fn work_on_another_runtime_goes_on_when_nobody_waits_and_its_tracker_knows() {
        let other = another();
        let (go, begun, tracker) = (Arc::new(Notify::new()), Arc::new(Notify::new()), TaskTracker::new());
        let done = Arc::new(std::sync::atomic::AtomicBool::default());
        let work = {
            let (go, begun, done) = (go.clone(), begun.clone(), done.clone());
            async move {
                begun.notify_one();
                go.notified().await;
                done.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        };
        let left = ToTheEnd::new(on(other.handle().clone(), work), tracker.clone());
        tokio::select! {
            biased;
            _ = left => panic!("it waits"),
            () = begun.notified() => {}
        }
        tracker.close();
        assert!(!tracker.is_empty());
        go.notify_one();
        tokio::time::timeout(Duration::from_secs(10), tracker.wait()).await.expect("it ends");
        assert!(done.load(std::sync::atomic::Ordering::SeqCst));
        other.shutdown_background();
    }
}
