//! What happens to an int32 sum before it is stored: rescaling, clamp, table. Made once per node, checked there.
//!
//! `y = clamp(zero_point + round_shift(x * f + (bias << bias_shift), shift))` with `f` the column's multiplier, times the
//! row's scale in `rescale_rows`; then, for a fused table, `table[y - offset]`. Formulas: `docs/integer-graphs.md`,
//! rescale, rescale_rows, lookup. `Epilogue::apply` is the plain form. The vectors (`finish`) want a shift of at least 32,
//! so that the result is the high half of a 64-bit sum: a smaller one is made larger, exactly, by shifting multiplier or x
//! to the left where both have room, and what has no room takes the plain form.

use super::error::{KernelError, expect, within};

/// Columns of the widest panel: parameters are filled up to a multiple, so that vectors need no tail.
const FILL: usize = 64;

/// A table that follows the clamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// int8 entries.
    Int8(Vec<i8>),
    /// int16 entries.
    Int16(Vec<i16>),
    /// int32 entries.
    Int32(Vec<i32>),
}

impl Table {
    fn len(&self) -> usize {
        match self {
            Table::Int8(entries) => entries.len(),
            Table::Int16(entries) => entries.len(),
            Table::Int32(entries) => entries.len(),
        }
    }

    /// Bits of an entry.
    pub(crate) const fn bits(&self) -> usize {
        match self {
            Table::Int8(_) => 8,
            Table::Int16(_) => 16,
            Table::Int32(_) => 32,
        }
    }

    /// Entry `index`.
    #[inline]
    fn entry(&self, index: usize) -> i32 {
        match self {
            Table::Int8(entries) => entries[index].into(),
            Table::Int16(entries) => entries[index].into(),
            Table::Int32(entries) => entries[index],
        }
    }
}

/// Multipliers, bias and shift as the specification has them.
#[derive(Clone, Debug)]
struct Formula {
    /// One per column, or one for all.
    multipliers: Vec<i32>,
    /// One per column, or none.
    bias: Vec<i32>,
    bias_shift: u32,
    shift: u32,
    zero_point: i32,
}

/// The same for vectors: `high_half((x << left) * f + offset) >> shift`, then a clamp, then the zero point.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// One per column, filled with zeros.
    pub multipliers: Vec<i32>,
    /// Bias and rounding of the columns 0, 2, 4, ...
    pub even: Vec<i64>,
    /// Bias and rounding of the columns 1, 3, 5, ...
    pub odd: Vec<i64>,
    /// Left shift of x.
    pub left: u32,
    /// The shift less 32.
    pub shift: u32,
    /// The clamp before the zero point is added.
    pub minimum: i32,
    /// The clamp before the zero point is added.
    pub maximum: i32,
    /// Added last.
    pub zero_point: i32,
}

/// What is done with each sum of one node.
#[derive(Clone, Debug)]
pub struct Epilogue {
    columns: Option<usize>,
    scaled: bool,
    formula: Option<Formula>,
    prepared: Option<Prepared>,
    minimum: i32,
    maximum: i32,
    table: Option<(Table, i32)>,
}

/// The parameters of a rescaling, by the names of the specification.
#[derive(Clone, Copy, Debug)]
pub struct Rescale<'a> {
    /// One for all columns or one per column, 0..=2^31 - 1 (the gain of a norm may be negative).
    pub multipliers: &'a [i32],
    /// Added before the shift, one per column; may be empty.
    pub bias: &'a [i32],
    /// 0..=31.
    pub bias_shift: u32,
    /// 1..=62.
    pub shift: u32,
    /// Added after the shift.
    pub zero_point: i32,
    /// The clamp's lower end.
    pub minimum: i32,
    /// The clamp's upper end.
    pub maximum: i32,
    /// The largest |x| that admission proved; 2^31 where it is not known.
    pub largest: i64,
    /// Whether each row has a scale of its own, as in rescale_rows; `f` is below 2^31 by admission.
    pub scaled: bool,
}

impl Epilogue {
    /// The sums, clamped.
    pub const fn clamp(minimum: i32, maximum: i32) -> Epilogue {
        Epilogue {
            columns: None,
            scaled: false,
            formula: None,
            prepared: None,
            minimum,
            maximum,
            table: None,
        }
    }

    /// The sums as they are.
    pub const SUMS: Epilogue = Epilogue::clamp(i32::MIN, i32::MAX);

    /// Rescaling for `columns` columns.
    ///
    /// # Errors
    /// `Shape` for a wrong length, `Parameter` for a value outside the formula's range.
    pub fn rescale(columns: usize, rescale: &Rescale<'_>) -> Result<Epilogue, KernelError> {
        let &Rescale { multipliers, bias, bias_shift, shift, zero_point, minimum, maximum, .. } = rescale;
        if multipliers.len() != 1 {
            expect("multipliers", columns, multipliers.len())?;
        }
        if !bias.is_empty() {
            expect("bias", columns, bias.len())?;
        }
        within("shift", shift.into(), 1, 62)?;
        within("bias_shift", bias_shift.into(), 0, 31)?;
        within("minimum", minimum.into(), i32::MIN.into(), maximum.into())?;
        let formula =
            Formula { multipliers: multipliers.to_vec(), bias: bias.to_vec(), bias_shift, shift, zero_point };
        Ok(Epilogue {
            columns: Some(columns),
            scaled: rescale.scaled,
            prepared: prepare(columns, rescale),
            formula: Some(formula),
            minimum,
            maximum,
            table: None,
        })
    }

    /// The same, followed by `table[y - offset]`.
    ///
    /// # Errors
    /// `Parameter` if the clamp lets an index leave the table.
    pub fn then_lookup(mut self, table: Table, offset: i32) -> Result<Epilogue, KernelError> {
        let (first, last) = (i64::from(offset), i64::from(offset) + table.len() as i64 - 1);
        within("clamp's minimum before a table", self.minimum.into(), first, last)?;
        within("clamp's maximum before a table", self.maximum.into(), first, last)?;
        self.table = Some((table, offset));
        Ok(self)
    }

    /// Refuses an output of other columns, or scales that do not belong to its rows.
    pub(crate) fn check(&self, columns: usize, rows: usize, scales: &[i32]) -> Result<(), KernelError> {
        if let Some(expected) = self.columns {
            expect("columns of the epilogue", expected, columns)?;
        }
        expect("scales of rows", if self.scaled { rows } else { 0 }, scales.len())
    }

    /// The parameters for vectors; none where only the plain form is exact.
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        self.prepared.as_ref()
    }

    /// Whether each row has a scale.
    pub const fn takes_scales(&self) -> bool {
        self.scaled
    }

    /// Whether nothing is done but clamping.
    pub(crate) fn is_clamp(&self) -> bool {
        self.formula.is_none()
    }

    /// Whether the sums are stored as they are.
    pub(crate) fn is_sums(&self) -> bool {
        self.is_clamp() && self.table.is_none() && self.ends() == (i32::MIN, i32::MAX)
    }

    /// The clamp's ends.
    pub(crate) fn ends(&self) -> (i32, i32) {
        (self.minimum, self.maximum)
    }

    pub(crate) fn table(&self) -> Option<&(Table, i32)> {
        self.table.as_ref()
    }

    /// The value that is stored for `x` in `column` of a row with that scale. Wraps where admission was not asked.
    #[inline]
    pub(crate) fn apply(&self, x: i32, column: usize, scale: i32) -> i32 {
        let y = match &self.formula {
            None => i64::from(x),
            Some(formula) => {
                let multiplier = formula.multipliers[column.min(formula.multipliers.len() - 1)];
                let factor = if self.scaled { scale.wrapping_mul(multiplier) } else { multiplier };
                let bias = formula.bias.get(column).map_or(0, |&bias| i64::from(bias) << formula.bias_shift);
                let sum = (i64::from(x) * i64::from(factor)).wrapping_add(bias);
                let rounded = sum.wrapping_add(1 << (formula.shift - 1)) >> formula.shift;
                rounded.saturating_add(formula.zero_point.into())
            }
        };
        // Both ends are int32, so what is between them is.
        let y = y.clamp(self.minimum.into(), self.maximum.into()) as i32;
        match &self.table {
            None => y,
            Some((table, offset)) => table.entry((i64::from(y) - i64::from(*offset)) as usize),
        }
    }
}

/// Parameters with a shift of at least 32, if they exist.
fn prepare(columns: usize, rescale: &Rescale<'_>) -> Option<Prepared> {
    let missing = 32u32.saturating_sub(rescale.shift);
    let largest = rescale.multipliers.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
    // A scaled multiplier has no known room.
    let room = if rescale.scaled { 0 } else { largest.leading_zeros().saturating_sub(1) };
    let up = missing.min(room);
    let left = missing - up;
    if rescale.largest.checked_mul(1 << left)? > if left == 0 { 1 << 31 } else { (1 << 31) - 1 } {
        return None;
    }
    let shift = rescale.shift + missing;
    let (minimum, maximum) = (
        i64::from(rescale.minimum) - i64::from(rescale.zero_point),
        i64::from(rescale.maximum) - i64::from(rescale.zero_point),
    );
    let padded = columns.checked_next_multiple_of(FILL)?;
    let mut multipliers = vec![0; padded];
    for (column, multiplier) in multipliers.iter_mut().take(columns).enumerate() {
        *multiplier = rescale.multipliers[column.min(rescale.multipliers.len() - 1)] << up;
    }
    // What was shifted up needs room in int64 anew; without, admission has proven it.
    let factor = if rescale.scaled { 1 << 31 } else { i64::from(largest) << up };
    let product = if missing == 0 { 0 } else { (rescale.largest << left).checked_mul(factor)? };
    let offset = |column: usize| {
        let bias = i64::from(rescale.bias.get(column).copied().unwrap_or(0));
        let offset = bias.checked_mul(1 << (rescale.bias_shift + missing))?.checked_add(1 << (shift - 1))?;
        offset.checked_abs()?.checked_add(product).map(|_| offset)
    };
    let offsets = |from: usize| (from..padded).step_by(2).map(offset).collect::<Option<Vec<i64>>>();
    Some(Prepared {
        multipliers,
        even: offsets(0)?,
        odd: offsets(1)?,
        left,
        shift: shift - 32,
        minimum: i32::try_from(minimum.max(i32::MIN.into())).ok()?,
        maximum: i32::try_from(maximum.min(i32::MAX.into())).ok()?,
        zero_point: rescale.zero_point,
    })
}
