//! From names to cells, without locks: an open-addressed table of one word an entry. A look touches one cache line of the
//! table; where workers share sharded maps, a lock, a map's header and its buckets travel between them at every first
//! look of a transaction at an account or a slot.
//!
//! An entry holds the number of a cell, some bits of its name's hash, and the epoch in which it was made: entries of
//! earlier blocks count as free, so that a table is emptied by counting up. Entries stay for the block; a name whose places
//! are all taken belongs to the overflow, and does so for everybody.

use std::sync::atomic::{AtomicU64, Ordering};

/// Places that are looked at for one name.
const MAX_PROBES: usize = 32;
/// Places of the smallest table.
const MIN_PLACES: usize = 1 << 10;
/// Places of the largest table.
const MAX_PLACES: usize = 1 << 20;

/// Places in a cache line.
const PLACES_PER_LINE: usize = 8;

const NUMBER_BITS: u32 = 28;
const EPOCH_BITS: u32 = 12;
const MAX_EPOCH: u64 = (1 << EPOCH_BITS) - 1;

/// The table.
#[derive(Debug, Default)]
pub struct Index {
    places: Box<[AtomicU64]>,
    mask: usize,
    /// From 1: a word of zeros is free.
    epoch: u64,
}

/// What an entry holds above the number: the epoch and the rest of the hash.
fn label(hash: u64, epoch: u64) -> u64 {
    let tag_bits = 64 - NUMBER_BITS - EPOCH_BITS;
    (hash >> (64 - tag_bits)) << EPOCH_BITS | epoch
}

impl Index {
    /// Empties the table, with room for about `names`.
    pub fn begin(&mut self, names: usize) {
        let places = (2 * names).next_power_of_two().clamp(MIN_PLACES, MAX_PLACES);
        self.epoch += 1;
        if self.places.len() < places {
            self.places = std::iter::repeat_with(AtomicU64::default).take(places).collect();
            self.epoch = 1;
        } else if self.epoch > MAX_EPOCH {
            for place in &mut self.places {
                *place.get_mut() = 0;
            }
            self.epoch = 1;
        }
        self.mask = places - 1;
        self.warm();
    }

    /// Reads the table from one end to the other. It was last used a block ago: a look at each place in turn would wait
    /// for memory, where the processor fetches neighbours many at a time.
    fn warm(&self) {
        let lines = self.places[..=self.mask].iter().step_by(PLACES_PER_LINE);
        std::hint::black_box(lines.fold(0, |all, place| all ^ place.load(Ordering::Relaxed)));
    }

    /// Gives a table back that is larger than `most` places.
    pub fn shrink(&mut self, most: usize) {
        if self.places.len() > most {
            *self = Self::default();
        }
    }

    /// The number of a name's cell, which `make` makes if there is none. `None`: the name belongs to the overflow.
    #[inline]
    pub fn number(
        &self,
        hash: u64,
        is_named: impl Fn(u32) -> bool,
        mut make: impl FnMut() -> u32,
    ) -> Option<u32> {
        let label = label(hash, self.epoch);
        let mut made = None;
        for probe in 0..MAX_PROBES {
            let place = self.places.get((hash as usize).wrapping_add(probe) & self.mask)?;
            let mut entry = place.load(Ordering::Acquire);
            if (entry >> NUMBER_BITS) & MAX_EPOCH != self.epoch {
                // Free. A cell that is made and not needed, because another worker was faster, is left unused.
                let number = *made.get_or_insert_with(&mut make);
                let new = label << NUMBER_BITS | u64::from(number);
                match place.compare_exchange(entry, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return Some(number),
                    Err(now) => entry = now,
                }
            }
            let number = (entry & ((1 << NUMBER_BITS) - 1)) as u32;
            if entry >> NUMBER_BITS == label && is_named(number) {
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
        ((name % 7) * 3) | ((name % 3) << 50)
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
    fn epochs_come_round() {
        let mut index = Index::default();
        for round in 0..(2 * MAX_EPOCH as u32 + 5) {
            index.begin(4);
            assert_eq!(index.number(5, |number| number == round, || round), Some(round));
            assert_eq!(index.number(5, |number| number == round, || u32::MAX), Some(round));
        }
    }
}
