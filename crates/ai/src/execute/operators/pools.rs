//! Pools over images (height, width, channels) and means over sequences.

use super::super::values::{Element, View, ViewMut, each};
use super::{Geometry, both, element, put};
use crate::artefact::operator::Pool;

/// The taps of an output's window that lie inside, along one side.
fn inside(out: usize, pool: &Pool, side: usize, extent: usize) -> std::ops::Range<usize> {
    let start = out * pool.stride[side];
    let end = (start + pool.window[side]).saturating_sub(pool.padding[side]).min(extent);
    start.saturating_sub(pool.padding[side]).min(end)..end
}

/// Largest elements, or sums, of windows.
pub fn pool<const SUM: bool>(x: View<'_>, of: &Pool, mut out: ViewMut<'_>, geometry: &Geometry) {
    let [height, width, channels] = geometry.inputs[0][..] else { return };
    let [high, wide, _] = geometry.outputs[0][..] else { return };
    let (part, made) = (geometry.input(0), geometry.output(0));
    let mut sums = vec![0i64; channels];
    for unit in 0..x.len() / part {
        for place in 0..high * wide {
            sums.fill(if SUM { 0 } else { i64::MIN });
            for row in inside(place / wide, of, 0, height) {
                for column in inside(place % wide, of, 1, width) {
                    let from = unit * part + (row * width + column) * channels;
                    each!(View, x, x => for (sum, x) in sums.iter_mut().zip(&x[from..from + channels]) {
                        *sum = if SUM { *sum + x.wide() } else { (*sum).max(x.wide()) };
                    });
                }
            }
            let to = unit * made + place * channels;
            sums.iter().enumerate().for_each(|(channel, sum)| put(&mut out, to + channel, *sum));
        }
    }
}

/// Means of the rows that the mask shows, rounded half up.
pub fn mean_pool(
    x: View<'_>,
    mask: Option<View<'_>>,
    fraction_bits: u32,
    out: ViewMut<'_>,
    geometry: &Geometry,
) {
    let [rows, width] = geometry.inputs[0][..] else { return };
    let mut totals = vec![0i32; width];
    both!(x, out, (x, out) => {
        for (unit, (x, out)) in x.chunks_exact(rows * width).zip(out.chunks_exact_mut(width)).enumerate() {
            totals.fill(0);
            let mut count = 0i64;
            for (at, row) in x.chunks_exact(width).enumerate() {
                if mask.as_ref().is_none_or(|mask| element(mask, unit * rows + at) != 0) {
                    count += 1;
                    // Within int32 by admission.
                    totals.iter_mut().zip(row).for_each(|(total, x)| *total += x.wide() as i32);
                }
            }
            for (out, total) in out.iter_mut().zip(&totals) {
                let doubled = (i64::from(*total) << (fraction_bits + 1)) + count;
                *out = Element::low(if count == 0 { 0 } else { doubled.div_euclid(2 * count) });
            }
        }
    });
}
