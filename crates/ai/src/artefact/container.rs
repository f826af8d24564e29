//! The file: one safetensors container, read under limits and accepted in canonical form only.
//!
//! ```text
//! 8 bytes  length of the header, little endian
//! header   canonical JSON, filled up with spaces to a multiple of 8 bytes
//! data     the tensors in the order of their names, without holes, to the end of the file
//! ```
//! The graph is the string `solder` of `__metadata__`. Nothing refers to anything outside the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::canonical::{self, Value};
use super::error::{ArtefactError, Limit};

/// The largest file, in bytes.
pub const MAXIMUM_FILE_BYTES: usize = 1 << 30;
/// The largest header, in bytes.
pub const MAXIMUM_HEADER_BYTES: usize = 4 << 20;
/// The most tensors.
pub const MAXIMUM_TENSORS: usize = 1 << 16;
/// The most axes of a tensor or value.
pub const MAXIMUM_AXES: usize = 6;
/// The largest extent of an axis.
pub const MAXIMUM_EXTENT: i64 = 1 << 24;
/// The longest name, in bytes.
pub const MAXIMUM_NAME_BYTES: usize = 128;

/// What the elements of a tensor or value are: signed integers, two's complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 8 bits.
    Int8,
    /// 16 bits.
    Int16,
    /// 32 bits.
    Int32,
}

impl Dtype {
    /// Bytes of one element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int32 => 4,
        }
    }

    /// The smallest and the largest element.
    #[must_use]
    pub const fn range(self) -> (i64, i64) {
        match self {
            Self::Int8 => (i8::MIN as i64, i8::MAX as i64),
            Self::Int16 => (i16::MIN as i64, i16::MAX as i64),
            Self::Int32 => (i32::MIN as i64, i32::MAX as i64),
        }
    }

    /// The name in messages: `int8`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
        }
    }

    /// The type of that many bits.
    #[must_use]
    pub const fn of_bits(bits: i64) -> Option<Self> {
        match bits {
            8 => Some(Self::Int8),
            16 => Some(Self::Int16),
            32 => Some(Self::Int32),
            _ => None,
        }
    }

    fn of_container(code: &str) -> Option<Self> {
        match code {
            "I8" => Some(Self::Int8),
            "I16" => Some(Self::Int16),
            "I32" => Some(Self::Int32),
            _ => None,
        }
    }
}

/// The bytes of an artefact, shared by its tensors.
#[derive(Clone)]
pub struct Bytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Bytes {
    /// Takes over anything that holds bytes.
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(owner))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// One stored tensor: where it lies in the file.
#[derive(Clone)]
pub struct Tensor {
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its axes; none for a scalar.
    pub shape: Vec<usize>,
    bytes: Bytes,
    start: usize,
    end: usize,
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}{:?}", self.dtype.name(), self.shape)
    }
}

impl Tensor {
    /// How many elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        (self.end - self.start) / self.dtype.bytes()
    }

    /// Its bytes in the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes.all()[self.start..self.end]
    }

    /// Its elements, widened.
    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        let width = self.dtype.bytes();
        self.bytes().chunks_exact(width).map(move |raw| {
            // Sign-extension: the bytes go to the top of the word and come down arithmetically.
            let mut word = [0u8; 8];
            word[8 - width..].copy_from_slice(raw);
            i64::from_le_bytes(word) >> (64 - 8 * width)
        })
    }
}

/// A container whose header has been read.
pub struct Container {
    /// SHA-256 of the file.
    pub identity: [u8; 32],
    /// The graph's text.
    pub graph: String,
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Length of the file in bytes.
    pub file_bytes: usize,
}

/// Reads the container of a whole file.
pub fn read(bytes: &Bytes) -> Result<Container, ArtefactError> {
    let file = bytes.all();
    if file.len() > MAXIMUM_FILE_BYTES {
        return Err(ArtefactError::limit("file", Limit::FileBytes, MAXIMUM_FILE_BYTES));
    }
    let (header, data_start) = split_header(file)?;
    let Value::Object(entries) = canonical::read(header, "header")? else {
        return Err(ArtefactError::field("header", "not an object"));
    };
    if entries.len() > MAXIMUM_TENSORS + 1 {
        return Err(ArtefactError::limit("header", Limit::Tensors, MAXIMUM_TENSORS));
    }
    let mut graph = None;
    let mut tensors = BTreeMap::new();
    let mut at = data_start;
    for (name, entry) in entries {
        if name == "__metadata__" {
            graph = Some(graph_text(entry)?);
            continue;
        }
        let tensor = tensor_entry(bytes, &name, entry, data_start, at)?;
        at = tensor.end;
        tensors.insert(name, tensor);
    }
    if at != file.len() {
        return Err(ArtefactError::field("file", format!("{} bytes, the header describes {at}", file.len())));
    }
    let graph = graph.ok_or_else(|| ArtefactError::field("header.__metadata__", "missing"))?;
    Ok(Container { identity: Sha256::digest(file).into(), graph, tensors, file_bytes: file.len() })
}

fn split_header(file: &[u8]) -> Result<(&[u8], usize), ArtefactError> {
    let (length, rest) =
        file.split_first_chunk::<8>().ok_or_else(|| ArtefactError::field("file", "shorter than 8 bytes"))?;
    let length = u64::from_le_bytes(*length);
    if length > MAXIMUM_HEADER_BYTES as u64 {
        return Err(ArtefactError::limit("header", Limit::HeaderBytes, MAXIMUM_HEADER_BYTES));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let header = rest.get(..length).ok_or_else(|| {
        ArtefactError::field("header", format!("{length} bytes, the file has {}", rest.len()))
    })?;
    let text = header.trim_ascii_end();
    if length % 8 != 0 || length - text.len() >= 8 || header[text.len()..].iter().any(|fill| *fill != b' ') {
        return Err(ArtefactError::field(
            "header",
            "not filled up with spaces to the next multiple of 8 bytes",
        ));
    }
    Ok((text, 8 + length))
}

fn graph_text(metadata: Value) -> Result<String, ArtefactError> {
    let wanted = || ArtefactError::field("header.__metadata__", "not an object with the one string `solder`");
    let Value::Object(entries) = metadata else { return Err(wanted()) };
    let Ok([(key, Value::Text(text))]) = <[(String, Value); 1]>::try_from(entries) else {
        return Err(wanted());
    };
    if key == "solder" { Ok(text) } else { Err(wanted()) }
}

/// Whether a name may stand in a file: 1 to 128 letters, digits, `_`, `.`, `/`, `-`.
pub fn check_name(name: &str, field: &str) -> Result<(), ArtefactError> {
    if name.len() > MAXIMUM_NAME_BYTES {
        return Err(ArtefactError::limit(field, Limit::NameBytes, MAXIMUM_NAME_BYTES));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(ArtefactError::field(field, format!("{name:?} is no name (letters, digits, _ . / -)")));
    }
    Ok(())
}

fn tensor_entry(
    bytes: &Bytes,
    name: &str,
    entry: Value,
    data_start: usize,
    start: usize,
) -> Result<Tensor, ArtefactError> {
    let field = format!("tensors.{}", name.chars().take(MAXIMUM_NAME_BYTES).collect::<String>());
    let field = field.as_str();
    check_name(name, field)?;
    let wanted = || ArtefactError::field(field, "not an object of data_offsets, dtype, shape");
    let Value::Object(entries) = entry else { return Err(wanted()) };
    let [(k0, Value::List(offsets)), (k1, Value::Text(code)), (k2, Value::List(axes))] = entries.as_slice()
    else {
        return Err(wanted());
    };
    if (k0.as_str(), k1.as_str(), k2.as_str()) != ("data_offsets", "dtype", "shape") {
        return Err(wanted());
    }
    let dtype = Dtype::of_container(code)
        .ok_or_else(|| ArtefactError::field(field, format!("dtype {code:?} is none of I8 I16 I32")))?;
    if axes.len() > MAXIMUM_AXES {
        return Err(ArtefactError::limit(field, Limit::Axes, MAXIMUM_AXES));
    }
    let mut shape = Vec::with_capacity(axes.len());
    let mut length = dtype.bytes();
    for axis in axes {
        let Value::Integer(size @ 1..=MAXIMUM_EXTENT) = axis else {
            return Err(ArtefactError::field(field, "an axis of the shape is not between 1 and 2^24"));
        };
        let size = usize::try_from(*size).unwrap_or(usize::MAX);
        shape.push(size);
        length =
            length.checked_mul(size).filter(|length| *length <= MAXIMUM_FILE_BYTES).ok_or_else(|| {
                ArtefactError::limit(field, Limit::Elements, format_args!("{MAXIMUM_FILE_BYTES} bytes of"))
            })?;
    }
    let end = start + length;
    let place = |at: usize| Value::Integer(i64::try_from(at - data_start).unwrap_or(i64::MAX));
    if offsets.as_slice() != [place(start), place(end)] {
        return Err(ArtefactError::field(
            field,
            format!(
                "data_offsets are not [{}, {}], as order and shapes say",
                start - data_start,
                end - data_start
            ),
        ));
    }
    if end > bytes.all().len() {
        return Err(ArtefactError::field(field, "ends after the end of the file"));
    }
    Ok(Tensor { dtype, shape, bytes: bytes.clone(), start, end })
}
