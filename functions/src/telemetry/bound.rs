//! Instruments whose attributes are bound when a set of them first comes up: to record then allocates nothing and
//! looks no attributes up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

type Bind<K, I> = Box<dyn Fn(K) -> I + Send + Sync>;

/// One instrument, bound for each key. Keys have few values.
pub struct Bound<K, I> {
    bound: RwLock<HashMap<K, I>>,
    bind: Bind<K, I>,
}

impl<K: Copy + Eq + Hash, I> Bound<K, I> {
    pub fn new(bind: impl Fn(K) -> I + Send + Sync + 'static) -> Self {
        Self { bound: RwLock::default(), bind: Box::new(bind) }
    }

    pub fn with(&self, key: K, record: impl FnOnce(&I)) {
        if let Some(bound) = self.bound.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return record(bound);
        }
        let mut all = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        record(all.entry(key).or_insert_with(|| (self.bind)(key)));
    }
}
