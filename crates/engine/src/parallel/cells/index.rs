//! From names to cells, without locks: an open-addressed table of one word an entry. A look touches one cache line of the
//! table; where workers share sharded maps, a lock, a map's header and its buckets travel between them at every first
//! look of a transaction at an account or a slot.
//!
//! An entry holds the number of a cell and some bits of its name's hash: four bytes, so that the table of a usual block
//! stays in a worker's own cache. Entries stay for the block; a name whose places are all taken belongs to the overflow,
//! and does so for everybody.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::ahead;

/// Places that are looked at for one name.
const MAX_PROBES: usize = 32;
/// Places of the smallest table.
const MIN_PLACES: usize = 1 << 10;
/// Places of the largest table.
const MAX_PLACES: usize = 1 << 20;

/// A number and one: 0 is a free place.
const NUMBER_BITS: u32 = 24;
const MAX_NUMBER: u32 = (1 << NUMBER_BITS) - 2;

/// The table.
#[derive(Debug, Default)]
pub struct Index {
    places: Box<[AtomicU32]>,
    mask: usize,
}

/// What an entry holds above the number.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> (32 + NUMBER_BITS)) as u32
}

/// The number that an entry holds under this tag.
#[inline]
fn number_in(entry: u32, tag: u32) -> Option<u32> {
    let number = entry & ((1 << NUMBER_BITS) - 1);
    if entry >> NUMBER_BITS == tag { number.checked_sub(1) } else { None }
}

impl Index {
    /// Empties the table, with room for about `names`. It was last used a block ago, and comes into the cache so.
    pub fn begin(&mut self, names: usize) {
        let places = (2 * names).next_power_of_two().clamp(MIN_PLACES, MAX_PLACES);
        self.mask = places - 1;
        if self.places.len() < places {
            self.places = std::iter::repeat_with(AtomicU32::default).take(places).collect();
            return;
        }
        for place in &mut self.places[..places] {
            *place.get_mut() = 0;
        }
    }

    /// Gives a table back that is larger than `most` places.
    pub fn shrink(&mut self, most: usize) {
        if self.places.len() > most {
            *self = Self::default();
        }
    }

    /// Where a name's cell is looked for first.
    #[inline]
    pub fn first_place(&self, hash: u64) -> Option<&AtomicU32> {
        self.places.get(hash as usize & self.mask)
    }

    /// The number of a name's cell, if there is one here.
    #[inline]
    pub fn find(&self, hash: u64, is_named: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        for probe in 0..MAX_PROBES {
            let place = self.places.get((hash as usize).wrapping_add(probe) & self.mask)?;
            let entry = place.load(Ordering::Acquire);
            if entry == 0 {
                return None;
            }
            if let Some(number) = number_in(entry, tag)
                && is_named(number)
            {
                return Some(number);
            }
        }
        None
    }

    /// The number of a name's cell, which `make` makes if there is none. `None`: the name belongs to the overflow.
    #[inline]
    pub fn number(
        &self,
        hash: u64,
        is_named: impl Fn(u32) -> bool,
        mut make: impl FnMut() -> u32,
    ) -> Option<u32> {
        let tag = tag(hash);
        let mut made = None;
        // Most names that are looked for here are new.
        if let Some(place) = self.first_place(hash) {
            ahead::claim(place);
        }
        for probe in 0..MAX_PROBES {
            let place = self.places.get((hash as usize).wrapping_add(probe) & self.mask)?;
            let mut entry = place.load(Ordering::Acquire);
            if entry == 0 {
                // A cell that is made and not needed, because another worker was faster, is left unused.
                let number = *made.get_or_insert_with(&mut make);
                if number > MAX_NUMBER {
                    return None;
                }
                let new = tag << NUMBER_BITS | (number + 1);
                match place.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return Some(number),
                    Err(now) => entry = now,
                }
            }
            if let Some(number) = number_in(entry, tag)
                && is_named(number)
            {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use super::*;

    /// Names that collide in their places and in their labels.
    fn hash(name: u64) -> u64 {
        ((name % 7) * 3) | ((name % 3) << 60)
    }

    #[test]
    fn a_name_has_one_number_whoever_asks() {
        let mut index = Index::default();
        for round in 0..3 {
            index.begin(8);
            let names = Mutex::new(Vec::new());
            let ask = |name: u64| {
                let made = || {
                    let mut names = names.lock().unwrap();
                    names.push(name);
                    names.len() as u32 - 1
                };
                index.number(hash(name), |number| names.lock().unwrap()[number as usize] == name, made)
            };
            let all: Vec<HashMap<u64, Option<u32>>> = std::thread::scope(|scope| {
                let ask = &ask;
                let workers: Vec<_> = (0..4u64)
                    .map(|worker| {
                        scope.spawn(move || {
                            (0..60u64)
                                .map(|it| (it * 7 + worker) % 60)
                                .map(|name| (name, ask(name)))
                                .collect()
                        })
                    })
                    .collect();
                workers.into_iter().map(|worker| worker.join().unwrap()).collect()
            });
            assert!(all.iter().all(|found| found.len() == 60 && *found == all[0]), "round {round}");
            let numbers: std::collections::HashSet<_> = all[0].values().flatten().collect();
            assert_eq!(numbers.len(), all[0].values().flatten().count(), "round {round}");
            assert!(all[0].values().any(Option::is_some) && all[0].values().any(Option::is_none));
        }
    }

    #[test]
    fn a_block_begins_with_nothing() {
        let mut index = Index::default();
        for (round, names) in [4, 4 * MIN_PLACES, 4, 4 * MIN_PLACES, 4].into_iter().enumerate() {
            index.begin(names);
            let round = round as u32;
            for hash in [5, 2 * MIN_PLACES as u64] {
                assert_eq!(index.find(hash, |_| true), None);
                let number = round + hash as u32;
                assert_eq!(index.number(hash, |it| it == number, || number), Some(number));
                assert_eq!(index.number(hash, |it| it == number, || u32::MAX), Some(number));
                assert_eq!(index.find(hash, |it| it == number), Some(number));
            }
        }
    }

    #[test]
    fn a_number_without_room_belongs_to_the_overflow() {
        let mut index = Index::default();
        index.begin(4);
        assert_eq!(index.number(5, |_| true, || MAX_NUMBER + 1), None);
        assert_eq!(index.number(5, |_| true, || MAX_NUMBER), Some(MAX_NUMBER));
    }
}
