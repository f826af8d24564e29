//! Where the accounts and slots of one transaction are. Most transactions meet few, which are looked for one by one; more
//! than those are looked for in a table. Everything is forgotten when the next transaction begins, so that a worker goes
//! over the same few cache lines again and again.

use std::hash::Hash;

use alloy_primitives::map::HashMap;

/// Keys that are looked for one by one.
const FEW: usize = 8;
/// The largest table that is kept: clearing it takes time at every transaction.
const MAX_KEPT: usize = 1024;

/// Keys by the order in which they were met.
#[derive(Debug)]
pub(super) struct Places<K> {
    keys: Vec<K>,
    table: HashMap<K, u32>,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), table: HashMap::default() }
    }
}

impl<K: Copy + Eq + Hash> Places<K> {
    /// The place of a key.
    #[inline]
    pub fn find(&self, key: &K) -> Option<u32> {
        if self.keys.len() > FEW {
            return self.table.get(key).copied();
        }
        self.keys.iter().position(|known| known == key).map(|place| place as u32)
    }

    /// Adds a key that is not there yet. Gives its place.
    pub fn push(&mut self, key: K) -> u32 {
        let place = self.keys.len() as u32;
        self.keys.push(key);
        if self.keys.len() == FEW + 1 {
            self.table.extend(self.keys.iter().zip(0..).map(|(key, place)| (*key, place)));
        } else if self.keys.len() > FEW {
            self.table.insert(key, place);
        }
        place
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Forgets all.
    #[inline]
    pub fn clear(&mut self) {
        if self.keys.len() > FEW {
            if self.table.capacity() > MAX_KEPT {
                *self = Self::default();
            } else {
                self.table.clear();
            }
        }
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_found() {
        let mut places = Places::default();
        for count in [0, 1, FEW, FEW + 1, FEW + 2, 3 * FEW, 2 * MAX_KEPT] {
            for key in 0..count {
                assert_eq!(places.find(&key), None);
                assert_eq!(places.push(key), key as u32);
            }
            assert_eq!(places.len(), count);
            assert!((0..count).all(|key| places.find(&key) == Some(key as u32)), "{count}");
            assert_eq!(places.find(&count), None);
            places.clear();
            assert!((0..count).all(|key| places.find(&key).is_none()), "{count}");
        }
    }
}
