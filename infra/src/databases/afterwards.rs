//! What is still done when its caller has its answer: a statement that is late is cancelled, a broken connection is
//! closed.

use std::future::Future;
use std::sync::LazyLock;
use tokio_util::task::TaskTracker;

static RUNNING: LazyLock<TaskTracker> = LazyLock::new(|| {
    let tracker = TaskTracker::new();
    // Closed means that it may be waited for; tasks can be added all the same.
    tracker.close();
    tracker
});

/// None without a runtime: then the process is going down, and its sockets with it.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<tokio::task::JoinHandle<T>> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    Some(RUNNING.spawn_on(work, &runtime))
}

/// Waits until nothing of it is under way in this process. A host that stops the process between two requests must
/// wait for this first, or a statement would run on in a customer's database with nobody to cancel it.
pub async fn settled() {
    RUNNING.wait().await;
}
