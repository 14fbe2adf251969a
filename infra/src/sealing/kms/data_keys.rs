//! Unwrapped data keys, for minutes: fewer calls to KMS, and what is warm goes on when KMS is down.

use super::Clock;
use domain::limits::{DATA_KEY_KEPT, DATA_KEYS_MAX};
use jiff::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Wiped when their time is over, seen at the next use of any of them, or when there are too many.
pub struct DataKeys<K, V> {
    /// Wall time: a function that is frozen between two requests ages, and a monotonic clock may stand still then.
    clock: Clock,
    kept: Mutex<HashMap<K, Kept<V>>>,
}

struct Kept<V> {
    // On the heap, where it stays when the map grows: what a map moves it does not wipe.
    key: Arc<V>,
    since: Timestamp,
}

impl<V> Kept<V> {
    /// Nothing is left when the clock was put back, for then nobody knows its age.
    fn left(&self, now: Timestamp) -> Duration {
        let age = Duration::try_from(now.duration_since(self.since)).unwrap_or(DATA_KEY_KEPT);
        DATA_KEY_KEPT.saturating_sub(age)
    }
}

impl<K: Eq + Hash + Clone, V> DataKeys<K, V> {
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    pub fn get(&self, name: &K) -> Option<Arc<V>> {
        self.unexpired(|kept, _| kept.get(name).map(|it| it.key.clone()))
    }

    /// Whether it is there and stays for longer than this.
    pub fn lasts(&self, name: &K, spare: Duration) -> bool {
        self.unexpired(|kept, now| kept.get(name).is_some_and(|it| it.left(now) > spare))
    }

    pub fn put(&self, name: K, key: V) -> Arc<V> {
        let key = Arc::new(key);
        self.unexpired(|kept, now| {
            kept.insert(name, Kept { key: key.clone(), since: now });
            if kept.len() > DATA_KEYS_MAX {
                let oldest = kept.iter().min_by_key(|(_, it)| it.since).map(|(name, _)| name.clone());
                oldest.map(|oldest| kept.remove(&oldest));
            }
        });
        key
    }

    pub fn forget(&self, of: impl Fn(&K) -> bool) {
        self.unexpired(|kept, _| kept.retain(|name, _| !of(name)));
    }

    fn unexpired<T>(&self, then: impl FnOnce(&mut HashMap<K, Kept<V>>, Timestamp) -> T) -> T {
        let mut kept = self.kept.lock().expect("not poisoned");
        let now = (self.clock)();
        kept.retain(|_, it| it.left(now) > Duration::ZERO);
        then(&mut kept, now)
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.unexpired(|kept, _| kept.len())
    }
}
