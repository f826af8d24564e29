//! The graph of an artefact: inputs, nodes in order, outputs, and what admission proved about each value.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::admission::{Proven, admit};
use super::canonical::Value;
use super::container::{Dtype, MAXIMUM_AXES, MAXIMUM_EXTENT, Tensor, check_name};
use super::error::{ArtefactError, Limit};
use super::fields::Fields;
use super::operator::Operator;

/// The most nodes.
pub const MAXIMUM_NODES: usize = 1 << 16;
/// The most inputs of a graph, and the most outputs.
pub const MAXIMUM_PORTS: usize = 64;
/// The largest `batch_limit`, and the largest `sequence_limit`.
pub const MAXIMUM_SYMBOL: usize = 1 << 16;
/// The most elements of a value at the limits.
pub const MAXIMUM_ELEMENTS: u128 = 1 << 40;
/// The longest title, and the longest label, in bytes.
pub const MAXIMUM_TEXT_BYTES: usize = 256;
/// The most labels.
pub const MAXIMUM_LABELS: usize = 1 << 16;
/// How many elements of tensors admission looks at, counted again for each node that uses a tensor.
pub const MAXIMUM_TENSOR_READS: u128 = 1 << 31;

/// One axis of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// A fixed extent.
    Static(usize),
    /// The batch: at axis 0 only.
    Batch,
    /// The sequence.
    Sequence,
}

/// What the symbols stand for: in a run, or at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extents {
    /// Of `batch`.
    pub batch: usize,
    /// Of `sequence`.
    pub sequence: usize,
}

impl Extents {
    /// The extent of an axis.
    #[must_use]
    pub const fn of(&self, axis: Axis) -> usize {
        match axis {
            Axis::Static(size) => size,
            Axis::Batch => self.batch,
            Axis::Sequence => self.sequence,
        }
    }

    /// The extents of a shape.
    #[must_use]
    pub fn shape(&self, shape: &[Axis]) -> Vec<usize> {
        shape.iter().map(|axis| self.of(*axis)).collect()
    }

    /// The elements of a shape.
    #[must_use]
    pub fn elements(&self, shape: &[Axis]) -> u128 {
        shape.iter().map(|axis| self.of(*axis) as u128).product()
    }
}

impl Axis {
    /// Reads a list of extents and symbols.
    pub(super) fn read_shape(items: &[Value], place: &str) -> Result<Vec<Self>, ArtefactError> {
        if items.len() > MAXIMUM_AXES {
            return Err(ArtefactError::limit(place, Limit::Axes, MAXIMUM_AXES));
        }
        if items.is_empty() {
            return Err(ArtefactError::field(place, "no axis"));
        }
        let axis = |item: &Value| match item {
            Value::Integer(size @ 1..=MAXIMUM_EXTENT) => {
                Ok(Self::Static(usize::try_from(*size).unwrap_or(1)))
            }
            Value::Integer(size) => {
                Err(ArtefactError::field(place, format!("extent {size} is not in 1..={MAXIMUM_EXTENT}")))
            }
            Value::Text(text) if text == "batch" => Ok(Self::Batch),
            Value::Text(text) if text == "sequence" => Ok(Self::Sequence),
            _ => Err(ArtefactError::field(
                place,
                "an axis is neither an integer nor \"batch\" nor \"sequence\"",
            )),
        };
        items.iter().map(axis).collect()
    }
}

/// What is known of a value before any run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its axes.
    pub shape: Vec<Axis>,
    /// No element is less.
    pub lowest: i64,
    /// No element is more.
    pub highest: i64,
}

/// What a node reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    /// A value, by its index.
    Value(usize),
    /// A tensor, by its index.
    Tensor(usize),
}

/// One step of the computation.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it does.
    pub operator: Operator,
    /// What it reads.
    pub inputs: Vec<Operand>,
    /// The values that it makes.
    pub outputs: Vec<usize>,
}

/// What the integers of an input or output mean to people. It never changes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Ids, masks, classes, counts.
    Index,
    /// real = integer * multiplier / 2^shift.
    Fixed {
        /// At least 1.
        multiplier: i32,
        /// At most 62.
        shift: u32,
    },
    /// The order-preserving code of a float32.
    Float32Order,
}

/// An admitted graph.
#[derive(Debug)]
pub struct Graph {
    /// What people call it.
    pub title: String,
    /// The most that the symbols may stand for.
    pub limits: Extents,
    /// The values that a run is given.
    pub inputs: Vec<(usize, Coding)>,
    /// The steps, each after what it reads.
    pub nodes: Vec<Node>,
    /// The values that a run returns.
    pub outputs: Vec<(usize, Coding)>,
    /// Names of classes.
    pub labels: Vec<String>,
    /// SHA-256 of the tokeniser, in hexadecimal digits, or empty.
    pub tokeniser_sha256: String,
    /// Every value: inputs first, then in the order in which nodes make them.
    pub values: Vec<Facts>,
    /// Every tensor with its name.
    pub tensors: Vec<(String, Tensor)>,
}

impl Graph {
    /// Reads and admits the graph of a container.
    pub fn read(value: Value, tensors: BTreeMap<String, Tensor>) -> Result<Self, ArtefactError> {
        let mut fields = Fields::new(value, "graph")?;
        fields.integer("format", 1, 1)?;
        let title = label(fields.text("title")?, "graph.title")?;
        let limits = Extents {
            batch: fields.size("batch_limit", 1, MAXIMUM_SYMBOL)?,
            sequence: fields.size("sequence_limit", 1, MAXIMUM_SYMBOL)?,
        };
        let tokeniser_sha256 = fields.text("tokeniser_sha256")?;
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !(tokeniser_sha256.is_empty()
            || tokeniser_sha256.len() == 64 && tokeniser_sha256.bytes().all(digit))
        {
            return Err(ArtefactError::field(
                "graph.tokeniser_sha256",
                "neither 64 hexadecimal digits nor empty",
            ));
        }
        let labels = fields.texts("labels")?;
        if labels.len() > MAXIMUM_LABELS {
            return Err(ArtefactError::limit("graph.labels", Limit::Labels, MAXIMUM_LABELS));
        }
        let labels = labels.into_iter().map(|text| label(text, "graph.labels")).collect::<Result<_, _>>()?;
        let mut reading = Reading::new(limits, tensors.into_iter().collect());
        let inputs = reading.inputs(fields.list("inputs")?)?;
        let nodes = reading.nodes(fields.list("nodes")?)?;
        let outputs = reading.outputs(fields.list("outputs")?)?;
        fields.finish()?;
        reading.check_uses()?;
        let Reading { tensors, values, .. } = reading;
        Ok(Self { title, limits, inputs, nodes, outputs, labels, tokeniser_sha256, values, tensors })
    }

    /// How a node is named in errors.
    #[must_use]
    pub fn place(&self, node: usize) -> String {
        place(node, self.nodes[node].operator.name(), &self.nodes[node].name)
    }
}

fn place(index: usize, operator: &str, name: &str) -> String {
    format!("graph.nodes[{index}] ({operator} {name})")
}

fn label(text: String, field: &str) -> Result<String, ArtefactError> {
    if text.len() > MAXIMUM_TEXT_BYTES {
        return Err(ArtefactError::limit(field, Limit::NameBytes, MAXIMUM_TEXT_BYTES));
    }
    Ok(text)
}

/// A graph while it is read.
struct Reading {
    limits: Extents,
    tensors: Vec<(String, Tensor)>,
    tensor_index: HashMap<String, usize>,
    used: Vec<bool>,
    reads: u128,
    values: Vec<Facts>,
    value_index: HashMap<String, usize>,
}

impl Reading {
    fn new(limits: Extents, tensors: Vec<(String, Tensor)>) -> Self {
        let tensor_index = tensors.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        let used = vec![false; tensors.len()];
        Self {
            limits,
            tensors,
            tensor_index,
            used,
            reads: 0,
            values: Vec::new(),
            value_index: HashMap::new(),
        }
    }

    fn add(&mut self, facts: Facts, place: &str) -> Result<usize, ArtefactError> {
        check_name(&facts.name, place)?;
        if self.tensor_index.contains_key(&facts.name) {
            return Err(ArtefactError::field(place, format!("{:?} is the name of a tensor", facts.name)));
        }
        if facts.shape.len() > MAXIMUM_AXES {
            return Err(ArtefactError::limit(place, Limit::Axes, MAXIMUM_AXES));
        }
        if facts.shape.iter().skip(1).any(|axis| *axis == Axis::Batch) {
            return Err(ArtefactError::field(place, "batch stands at another axis than 0"));
        }
        if facts
            .shape
            .iter()
            .any(|axis| matches!(axis, Axis::Static(size) if *size as u128 > MAXIMUM_EXTENT as u128))
        {
            return Err(ArtefactError::field(place, format!("an extent is more than {MAXIMUM_EXTENT}")));
        }
        if self.limits.elements(&facts.shape) > MAXIMUM_ELEMENTS {
            return Err(ArtefactError::limit(place, Limit::Elements, MAXIMUM_ELEMENTS));
        }
        let at = self.values.len();
        if self.value_index.insert(facts.name.clone(), at).is_some() {
            return Err(ArtefactError::field(place, format!("{:?} is made twice", facts.name)));
        }
        self.values.push(facts);
        Ok(at)
    }

    fn inputs(&mut self, items: Vec<Value>) -> Result<Vec<(usize, Coding)>, ArtefactError> {
        ports(&items, "graph.inputs")?;
        let mut found = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let mut fields = Fields::new(item, format!("graph.inputs[{at}]"))?;
            let name = fields.text("name")?;
            let bits = fields.integer("bits", 8, 32)?;
            let place = fields.place("bits");
            let dtype = Dtype::of_bits(bits)
                .ok_or_else(|| ArtefactError::field(place, format!("{bits} is none of 8, 16, 32")))?;
            let (least, most) = dtype.range();
            let highest = fields.integer("maximum", least, most)?;
            let lowest = fields.integer("minimum", least, highest)?;
            let axes = fields.list("shape")?;
            let place = fields.place("shape");
            let shape = Axis::read_shape(&axes, &place)?;
            if shape[0] != Axis::Batch {
                return Err(ArtefactError::field(place, "axis 0 is not \"batch\""));
            }
            let coding = coding(&mut fields)?;
            fields.finish()?;
            let facts = Facts { name, dtype, shape, lowest, highest };
            found.push((self.add(facts, &format!("graph.inputs[{at}]"))?, coding));
        }
        Ok(found)
    }

    fn nodes(&mut self, items: Vec<Value>) -> Result<Vec<Node>, ArtefactError> {
        if items.len() > MAXIMUM_NODES {
            return Err(ArtefactError::limit("graph.nodes", Limit::Nodes, MAXIMUM_NODES));
        }
        let mut names = BTreeSet::new();
        let mut nodes = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let mut fields = Fields::new(item, format!("graph.nodes[{at}]"))?;
            let name = fields.text("name")?;
            check_name(&name, &fields.place("name"))?;
            let operator = fields.text("operator")?;
            let place = place(at, operator.chars().take(32).collect::<String>().as_str(), &name);
            if !names.insert(name.clone()) {
                return Err(ArtefactError::field(place, "another node has this name"));
            }
            let operator = Operator::read(&operator, fields.required("attributes")?, &place)?;
            let inputs = self.operands(&fields.texts("inputs")?, &operator, &place)?;
            let outputs = fields.texts("outputs")?;
            fields.finish()?;
            let proven = self.admit(&operator, &inputs, &place)?;
            if outputs.len() != proven.len() {
                let detail = format!("{} outputs, not {}", outputs.len(), proven.len());
                return Err(ArtefactError::field(format!("{place}.outputs"), detail));
            }
            let mut made = Vec::with_capacity(outputs.len());
            for (name, Proven { dtype, shape, lowest, highest }) in outputs.into_iter().zip(proven) {
                made.push(
                    self.add(Facts { name, dtype, shape, lowest, highest }, &format!("{place}.outputs"))?,
                );
            }
            nodes.push(Node { name, operator, inputs, outputs: made });
        }
        Ok(nodes)
    }

    fn operands(
        &mut self,
        names: &[String],
        operator: &Operator,
        place: &str,
    ) -> Result<Vec<Operand>, ArtefactError> {
        let (least, more, _) = operator.arity();
        if names.len() < least || names.len() > least + more {
            let detail = format!("{} operands, not {least}..={}", names.len(), least + more);
            return Err(ArtefactError::field(format!("{place}.inputs"), detail));
        }
        let mut operands = Vec::with_capacity(names.len());
        for name in names {
            let operand = if let Some(value) = self.value_index.get(name) {
                Operand::Value(*value)
            } else if let Some(tensor) = self.tensor_index.get(name) {
                self.used[*tensor] = true;
                self.reads += self.tensors[*tensor].1.elements() as u128;
                Operand::Tensor(*tensor)
            } else {
                let shown: String = name.chars().take(128).collect();
                let detail = format!("{shown:?} is neither a tensor nor a value that was made before");
                return Err(ArtefactError::field(format!("{place}.inputs"), detail));
            };
            operands.push(operand);
        }
        if self.reads > MAXIMUM_TENSOR_READS {
            return Err(ArtefactError::limit(
                place,
                Limit::Elements,
                format_args!("{MAXIMUM_TENSOR_READS} tensor"),
            ));
        }
        Ok(operands)
    }

    fn admit(
        &self,
        operator: &Operator,
        inputs: &[Operand],
        place: &str,
    ) -> Result<Vec<Proven>, ArtefactError> {
        admit(operator, inputs, &self.values, &self.tensors, self.limits, place)
    }

    fn outputs(&self, items: Vec<Value>) -> Result<Vec<(usize, Coding)>, ArtefactError> {
        ports(&items, "graph.outputs")?;
        let mut found: Vec<(usize, Coding)> = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let mut fields = Fields::new(item, format!("graph.outputs[{at}]"))?;
            let name = fields.text("name")?;
            let place = fields.place("name");
            let coding = coding(&mut fields)?;
            fields.finish()?;
            let shown: String = name.chars().take(128).collect();
            let value = *self
                .value_index
                .get(&name)
                .ok_or_else(|| ArtefactError::field(&place, format!("{shown:?} is no value")))?;
            if self.values[value].shape[0] != Axis::Batch {
                return Err(ArtefactError::field(place, format!("axis 0 of {shown:?} is not the batch")));
            }
            if found.iter().any(|(other, _)| *other == value) {
                return Err(ArtefactError::field(place, format!("{shown:?} is an output twice")));
            }
            found.push((value, coding));
        }
        Ok(found)
    }

    /// Refuses tensors that no node uses, and a sequence limit that nothing needs.
    fn check_uses(&self) -> Result<(), ArtefactError> {
        if let Some(unused) = self.used.iter().position(|used| !used) {
            let field = format!("tensors.{}", self.tensors[unused].0);
            return Err(ArtefactError::field(field, "no node uses it"));
        }
        let symbolic = self.values.iter().any(|facts| facts.shape.contains(&Axis::Sequence));
        if !symbolic && self.limits.sequence != 1 {
            return Err(ArtefactError::field("graph.sequence_limit", "not 1, and no shape has \"sequence\""));
        }
        Ok(())
    }
}

fn ports(items: &[Value], place: &str) -> Result<(), ArtefactError> {
    match items.len() {
        0 => Err(ArtefactError::field(place, "none")),
        1..=MAXIMUM_PORTS => Ok(()),
        _ => Err(ArtefactError::limit(place, Limit::Ports, MAXIMUM_PORTS)),
    }
}

fn coding(fields: &mut Fields) -> Result<Coding, ArtefactError> {
    let place = fields.place("coding");
    let mut fields = Fields::new(fields.required("coding")?, place)?;
    let found = match fields.text("kind")?.as_str() {
        "index" => Coding::Index,
        "fixed" => Coding::Fixed {
            multiplier: i32::try_from(fields.integer("multiplier", 1, i32::MAX.into())?).unwrap_or(1),
            shift: u32::try_from(fields.integer("shift", 0, 62)?).unwrap_or(0),
        },
        "float32_order" => Coding::Float32Order,
        _ => return Err(ArtefactError::field(fields.place("kind"), "none of index, fixed, float32_order")),
    };
    fields.finish()?;
    Ok(found)
}
