//! Types with the names of their parts, and how many words they take in a head. Every type is bounded before anything is
//! allocated for it.

use alloy_dyn_abi::parser::TypeSpecifier;
use alloy_dyn_abi::{DynSolType, Specifier};
use alloy_json_abi::{EventParam, Param};

use crate::error::AbiError;

/// The deepest nesting of arrays and tuples.
pub const MAX_NESTING: usize = 16;
/// The most words that a type of fixed size takes, and the most elements of an array of fixed length.
pub const MAX_HEAD_WORDS: usize = 1 << 16;
/// The longest type or signature in characters.
pub const MAX_TYPE_CHARS: usize = 16 * 1024;

/// A type, by what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `bool`.
    Bool,
    /// `int8` to `int256`, by bits.
    Int(usize),
    /// `uint8` to `uint256`, by bits.
    Uint(usize),
    /// `bytes1` to `bytes32`.
    FixedBytes(usize),
    /// `address`.
    Address,
    /// `function`: an address and a selector.
    Function,
    /// `bytes`.
    Bytes,
    /// `string`.
    String,
    /// `T[]`.
    Array(Box<Type>),
    /// `T[n]`.
    FixedArray(Box<Type>, usize),
    /// A struct, or several values.
    Tuple(Vec<Parameter>),
}

/// A type, and how it is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// What it is made of.
    pub kind: Kind,
    /// Words in the head: all of them where its size is fixed, one (the offset) where it is not.
    pub head_words: usize,
    /// Whether its size depends on the value.
    pub dynamic: bool,
}

/// A named value of a function, an event, an error or a struct. The name may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// As the interface has it.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

impl Parameter {
    /// What an error calls it: its name, or its place.
    pub fn label(&self, index: usize) -> String {
        if self.name.is_empty() { format!("[{index}]") } else { self.name.clone() }
    }

    pub(crate) fn of(param: &Param) -> Result<Self, AbiError> {
        Self::build(&param.name, &param.ty, &param.components, 0)
    }

    pub(crate) fn of_event(param: &EventParam) -> Result<Self, AbiError> {
        Self::build(&param.name, &param.ty, &param.components, 0)
    }

    fn build(name: &str, ty: &str, components: &[Param], depth: usize) -> Result<Self, AbiError> {
        let place = if name.is_empty() { ty.chars().take(40).collect() } else { name.to_owned() };
        let ty = build_type(ty, components, depth).map_err(|error| error.inside(&place))?;
        Ok(Self { name: name.into(), ty })
    }
}

/// What alloy says, which may be lines with a mark below.
pub fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Refuses text that a parser would nest too deeply on.
pub fn check_text(text: &str) -> Result<(), AbiError> {
    if text.len() > MAX_TYPE_CHARS {
        return Err(AbiError::new("", format!("longer than {MAX_TYPE_CHARS} characters")));
    }
    let (mut depth, mut deepest) = (0usize, 0usize);
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MAX_NESTING + 1 {
        return Err(too_deep());
    }
    Ok(())
}

fn too_deep() -> AbiError {
    AbiError::new("", format!("nested deeper than {MAX_NESTING}"))
}

fn build_type(text: &str, components: &[Param], depth: usize) -> Result<Type, AbiError> {
    check_text(text)?;
    if text.bytes().filter(|byte| *byte == b'[').count() > MAX_NESTING || depth > MAX_NESTING {
        return Err(too_deep());
    }
    let unknown = |error: &dyn std::fmt::Display| {
        let shown: String = text.chars().take(80).collect();
        AbiError::new("", format!("type {shown:?}: {}", one_line(error)))
    };
    let specifier = TypeSpecifier::parse(text).map_err(|error| unknown(&error))?;
    let mut sizes = specifier.sizes.clone();
    let mut ty = if components.is_empty() {
        let bare = TypeSpecifier { sizes: Vec::new(), ..specifier };
        of_dynamic(&bare.resolve().map_err(|error| unknown(&error))?, depth)?
    } else {
        let fields = components.iter();
        let fields =
            fields.map(|param| Parameter::build(&param.name, &param.ty, &param.components, depth + 1));
        tuple(fields.collect::<Result<_, _>>()?)?
    };
    if depth + sizes.len() + nesting(&ty) > MAX_NESTING {
        return Err(too_deep());
    }
    for size in sizes.drain(..) {
        ty = match size {
            None => Type { kind: Kind::Array(Box::new(ty)), head_words: 1, dynamic: true },
            Some(size) => fixed_array(ty, size.get())?,
        };
    }
    Ok(ty)
}

fn nesting(ty: &Type) -> usize {
    match &ty.kind {
        Kind::Array(inner) | Kind::FixedArray(inner, _) => 1 + nesting(inner),
        Kind::Tuple(fields) => 1 + fields.iter().map(|field| nesting(&field.ty)).max().unwrap_or_default(),
        _ => 0,
    }
}

fn fixed_array(inner: Type, size: usize) -> Result<Type, AbiError> {
    let words = inner.head_words.checked_mul(size).filter(|words| *words <= MAX_HEAD_WORDS);
    let words = words
        .ok_or_else(|| AbiError::new("", format!("takes more than {MAX_HEAD_WORDS} words in one place")))?;
    let dynamic = inner.dynamic;
    Ok(Type {
        kind: Kind::FixedArray(Box::new(inner), size),
        head_words: if dynamic { 1 } else { words },
        dynamic,
    })
}

fn tuple(fields: Vec<Parameter>) -> Result<Type, AbiError> {
    if fields.is_empty() {
        return Err(AbiError::new("", "an empty tuple has no encoding"));
    }
    let dynamic = fields.iter().any(|field| field.ty.dynamic);
    let words = fields.iter().try_fold(0usize, |sum, field| sum.checked_add(field.ty.head_words));
    let words = words.filter(|words| *words <= MAX_HEAD_WORDS);
    let words = words
        .ok_or_else(|| AbiError::new("", format!("takes more than {MAX_HEAD_WORDS} words in one place")))?;
    Ok(Type { kind: Kind::Tuple(fields), head_words: if dynamic { 1 } else { words }, dynamic })
}

fn of_dynamic(ty: &DynSolType, depth: usize) -> Result<Type, AbiError> {
    if depth > MAX_NESTING {
        return Err(too_deep());
    }
    let (kind, dynamic) = match ty {
        DynSolType::Bool => (Kind::Bool, false),
        DynSolType::Int(bits) => (Kind::Int(*bits), false),
        DynSolType::Uint(bits) => (Kind::Uint(*bits), false),
        DynSolType::FixedBytes(size) => (Kind::FixedBytes(*size), false),
        DynSolType::Address => (Kind::Address, false),
        DynSolType::Function => (Kind::Function, false),
        DynSolType::Bytes => (Kind::Bytes, true),
        DynSolType::String => (Kind::String, true),
        DynSolType::Array(inner) => (Kind::Array(Box::new(of_dynamic(inner, depth + 1)?)), true),
        DynSolType::FixedArray(inner, size) => return fixed_array(of_dynamic(inner, depth + 1)?, *size),
        DynSolType::Tuple(types) => {
            let fields =
                types.iter().map(|ty| Ok(Parameter { name: String::new(), ty: of_dynamic(ty, depth + 1)? }));
            return tuple(fields.collect::<Result<_, AbiError>>()?);
        }
    };
    Ok(Type { kind, head_words: 1, dynamic })
}

impl Type {
    /// Whether it is one word.
    pub fn is_word(&self) -> bool {
        !self.dynamic && !matches!(self.kind, Kind::FixedArray(..) | Kind::Tuple(_))
    }

    /// The type as alloy has it, without names.
    pub fn to_dynamic(&self) -> DynSolType {
        match &self.kind {
            Kind::Bool => DynSolType::Bool,
            Kind::Int(bits) => DynSolType::Int(*bits),
            Kind::Uint(bits) => DynSolType::Uint(*bits),
            Kind::FixedBytes(size) => DynSolType::FixedBytes(*size),
            Kind::Address => DynSolType::Address,
            Kind::Function => DynSolType::Function,
            Kind::Bytes => DynSolType::Bytes,
            Kind::String => DynSolType::String,
            Kind::Array(inner) => DynSolType::Array(Box::new(inner.to_dynamic())),
            Kind::FixedArray(inner, size) => DynSolType::FixedArray(Box::new(inner.to_dynamic()), *size),
            Kind::Tuple(fields) => {
                DynSolType::Tuple(fields.iter().map(|field| field.ty.to_dynamic()).collect())
            }
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::Bool => f.write_str("bool"),
            Kind::Int(bits) => write!(f, "int{bits}"),
            Kind::Uint(bits) => write!(f, "uint{bits}"),
            Kind::FixedBytes(size) => write!(f, "bytes{size}"),
            Kind::Address => f.write_str("address"),
            Kind::Function => f.write_str("function"),
            Kind::Bytes => f.write_str("bytes"),
            Kind::String => f.write_str("string"),
            Kind::Array(inner) => write!(f, "{inner}[]"),
            Kind::FixedArray(inner, size) => write!(f, "{inner}[{size}]"),
            Kind::Tuple(fields) => {
                f.write_str("(")?;
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{}", field.ty)?;
                }
                f.write_str(")")
            }
        }
    }
}
