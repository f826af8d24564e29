//! Elements by type: owned, borrowed, borrowed to be written.

use std::ops::Range;

use crate::artefact::Dtype;

/// An element: a signed integer of 8, 16 or 32 bits.
pub trait Element: Copy + Default + Ord + Send + Sync + 'static {
    /// The element in 64 bits.
    fn wide(self) -> i64;
    /// The low bits of a number: admission has proven that nothing is lost.
    fn low(number: i64) -> Self;
}

macro_rules! element {
    ($($kind:ty),*) => {$(
        impl Element for $kind {
            #[inline(always)]
            fn wide(self) -> i64 {
                i64::from(self)
            }
            #[inline(always)]
            fn low(number: i64) -> Self {
                number as $kind
            }
        }
    )*};
}
element!(i8, i16, i32);

/// Elements of one type, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// 8-bit.
    Int8(Vec<i8>),
    /// 16-bit.
    Int16(Vec<i16>),
    /// 32-bit.
    Int32(Vec<i32>),
}

/// Borrowed elements.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// 8-bit.
    Int8(&'a [i8]),
    /// 16-bit.
    Int16(&'a [i16]),
    /// 32-bit.
    Int32(&'a [i32]),
}

/// Elements to be written.
#[derive(Debug)]
pub enum ViewMut<'a> {
    /// 8-bit.
    Int8(&'a mut [i8]),
    /// 16-bit.
    Int16(&'a mut [i16]),
    /// 32-bit.
    Int32(&'a mut [i32]),
}

/// Runs an expression on the elements of one of these, whatever their type.
macro_rules! each {
    ($kind:ident, $values:expr, $elements:ident => $work:expr) => {
        match $values {
            $kind::Int8($elements) => $work,
            $kind::Int16($elements) => $work,
            $kind::Int32($elements) => $work,
        }
    };
}
pub(crate) use each;

impl Values {
    /// `length` zeros.
    #[must_use]
    pub fn zeros(dtype: Dtype, length: usize) -> Self {
        match dtype {
            Dtype::Int8 => Self::Int8(vec![0; length]),
            Dtype::Int16 => Self::Int16(vec![0; length]),
            Dtype::Int32 => Self::Int32(vec![0; length]),
        }
    }

    /// The elements of numbers that fit.
    pub fn of(dtype: Dtype, numbers: impl Iterator<Item = i64>) -> Self {
        match dtype {
            Dtype::Int8 => Self::Int8(numbers.map(Element::low).collect()),
            Dtype::Int16 => Self::Int16(numbers.map(Element::low).collect()),
            Dtype::Int32 => Self::Int32(numbers.map(Element::low).collect()),
        }
    }

    /// Type of the elements.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        match self {
            Self::Int8(_) => Dtype::Int8,
            Self::Int16(_) => Dtype::Int16,
            Self::Int32(_) => Dtype::Int32,
        }
    }

    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(Self, self, elements => elements.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The smallest and the largest element; none if there is no element.
    #[must_use]
    pub fn range(&self) -> Option<(i64, i64)> {
        each!(Self, self, elements => {
            let first = *elements.first()?;
            // One pass without branches, which becomes vectors.
            let (least, most) =
                elements.iter().fold((first, first), |(least, most), element| (least.min(*element), most.max(*element)));
            Some((least.wide(), most.wide()))
        })
    }

    /// Writes the elements as little-endian bytes: as many as `len` times the bytes of one.
    pub fn write_le(&self, bytes: &mut [u8]) {
        match self {
            Self::Int8(elements) => {
                bytes.iter_mut().zip(elements).for_each(|(to, from)| *to = from.cast_unsigned())
            }
            Self::Int16(elements) => {
                bytes
                    .as_chunks_mut()
                    .0
                    .iter_mut()
                    .zip(elements)
                    .for_each(|(to, from)| *to = from.to_le_bytes());
            }
            Self::Int32(elements) => {
                bytes
                    .as_chunks_mut()
                    .0
                    .iter_mut()
                    .zip(elements)
                    .for_each(|(to, from)| *to = from.to_le_bytes());
            }
        }
    }

    /// Little-endian bytes.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len() * self.dtype().bytes()];
        self.write_le(&mut bytes);
        bytes
    }

    /// Borrowed.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Int8(elements) => View::Int8(elements),
            Self::Int16(elements) => View::Int16(elements),
            Self::Int32(elements) => View::Int32(elements),
        }
    }

    /// Borrowed to be written.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        match self {
            Self::Int8(elements) => ViewMut::Int8(elements),
            Self::Int16(elements) => ViewMut::Int16(elements),
            Self::Int32(elements) => ViewMut::Int32(elements),
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::Int8(Vec::new())
    }
}

impl<'a> View<'a> {
    /// A range of the elements.
    #[must_use]
    pub fn part(self, range: Range<usize>) -> View<'a> {
        match self {
            Self::Int8(elements) => View::Int8(&elements[range]),
            Self::Int16(elements) => View::Int16(&elements[range]),
            Self::Int32(elements) => View::Int32(&elements[range]),
        }
    }

    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(Self, self, elements => elements.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> ViewMut<'a> {
    /// Borrowed again, a range of the elements.
    pub fn part(&mut self, range: Range<usize>) -> ViewMut<'_> {
        match self {
            Self::Int8(elements) => ViewMut::Int8(&mut elements[range]),
            Self::Int16(elements) => ViewMut::Int16(&mut elements[range]),
            Self::Int32(elements) => ViewMut::Int32(&mut elements[range]),
        }
    }

    /// The first elements.
    #[must_use]
    pub fn first(self, length: usize) -> ViewMut<'a> {
        self.split_at(length).0
    }

    /// The first elements and the rest.
    #[must_use]
    pub fn split_at(self, at: usize) -> (ViewMut<'a>, ViewMut<'a>) {
        macro_rules! split {
            ($kind:ident, $elements:expr) => {{
                let (first, rest) = $elements.split_at_mut(at);
                (ViewMut::$kind(first), ViewMut::$kind(rest))
            }};
        }
        match self {
            Self::Int8(elements) => split!(Int8, elements),
            Self::Int16(elements) => split!(Int16, elements),
            Self::Int32(elements) => split!(Int32, elements),
        }
    }

    /// To be read.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Int8(elements) => View::Int8(elements),
            Self::Int16(elements) => View::Int16(elements),
            Self::Int32(elements) => View::Int32(elements),
        }
    }

    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(Self, self, elements => elements.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Elements with their extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// The extents.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub values: Values,
}
