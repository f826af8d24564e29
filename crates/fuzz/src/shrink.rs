//! Makes a failing block smaller: transactions are dropped while it still fails.

use crate::case::Case;

/// The most attempts at one block.
const MAX_ATTEMPTS: usize = 400;

/// The smallest block found for which `fails` still holds.
pub fn shrink(case: &Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut smallest = case.clone();
    let mut attempts = 0;
    let mut chunk = smallest.kept.len().div_ceil(2).max(1);
    while attempts < MAX_ATTEMPTS {
        let mut start = 0;
        let before = smallest.kept.len();
        while start < smallest.kept.len() && attempts < MAX_ATTEMPTS {
            let left: Vec<_> =
                (0..smallest.kept.len()).filter(|place| !(start..start + chunk).contains(place)).collect();
            let candidate = smallest.keep(&left);
            attempts += 1;
            if fails(&candidate) {
                smallest = candidate;
            } else {
                start += chunk;
            }
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2);
        } else if smallest.kept.len() == before {
            break;
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_left() {
        let case = Case::generate(3);
        let all = case.kept.len();
        assert!(all > 6, "{all}");
        let wanted = [1, all - 2];
        let small = shrink(&case, |case| wanted.iter().all(|place| case.kept.contains(place)));
        assert_eq!(small.kept, wanted);
        assert_eq!(small.block.transactions[0], case.block.transactions[1]);
    }
}
