//! A sorted map that has nothing in it nearly everywhere: it takes one word then.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A map that is made when something is put into it, and that clones share until one of them changes.
#[derive(Clone, Debug)]
pub(crate) struct Few<K, V>(Option<Arc<BTreeMap<K, V>>>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Few(None)
    }
}

impl<K: Ord + Clone, V: Clone> Few<K, V> {
    fn filled(&mut self) -> &mut BTreeMap<K, V> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.as_ref()?.get(key)
    }

    /// The value under `key`, to be changed; `make` gives it where there is none.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.filled().entry(key).or_insert_with(make)
    }

    /// Puts a value under `key`, and gives back the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.filled().insert(key, value)
    }

    /// Removes `key`; whether it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        self.filled().remove(key);
        if self.filled().is_empty() {
            self.0 = None;
        }
        true
    }

    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().flat_map(|all| all.keys())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_empty_again_once_all_is_removed() {
        let mut few = Few::default();
        assert!(few.is_empty() && few.get(&1).is_none() && !few.remove(&1));
        *few.get_or_insert_with(2, || 20) += 1;
        few.insert(1, 10);
        assert_eq!((few.get(&1), few.get(&2)), (Some(&10), Some(&21)));
        assert!(few.keys().eq(&[1, 2]));
        assert!(few.remove(&1) && !few.is_empty() && few.remove(&2) && few.is_empty());
    }
}
