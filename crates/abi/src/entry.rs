//! One function, event or error, ready to encode and decode.

use std::sync::Arc;

use alloy_primitives::{B256, keccak256};

use crate::Value;
use crate::decode::{decode, decode_word};
use crate::error::AbiError;
use crate::parameter::{Kind, Parameter, check_text, one_line};
use crate::text::shown_values;

/// A function. The constructor is one without a name and without a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Empty for a constructor.
    pub name: String,
    /// `transfer(address,uint256)`.
    pub signature: String,
    /// The first four bytes of the signature's hash; none for a constructor.
    pub selector: Option<[u8; 4]>,
    /// Arguments.
    pub inputs: Vec<Parameter>,
    /// Results.
    pub outputs: Vec<Parameter>,
    /// `pure`, `view`, `nonpayable`, `payable`.
    pub mutability: &'static str,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// `Transfer(address,address,uint256)`.
    pub signature: String,
    /// The signature's hash: the first topic, unless the event is anonymous.
    pub topic: B256,
    /// Whether no topic tells its name.
    pub anonymous: bool,
    /// All parameters in the order of the declaration.
    pub inputs: Vec<Parameter>,
    /// Which of them are topics.
    pub indexed: Vec<bool>,
    /// The ones that are not, in order.
    body: Vec<Parameter>,
}

/// A custom error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorEntry {
    /// Its name.
    pub name: String,
    /// `InsufficientBalance(uint256,uint256)`.
    pub signature: String,
    /// The first four bytes of the signature's hash.
    pub selector: [u8; 4],
    /// What it says.
    pub inputs: Vec<Parameter>,
}

fn selector(signature: &str) -> [u8; 4] {
    let hash = keccak256(signature);
    [hash[0], hash[1], hash[2], hash[3]]
}

fn signature(name: &str, inputs: &[Parameter]) -> String {
    let kinds: Vec<String> = inputs.iter().map(|input| input.ty.to_string()).collect();
    format!("{name}({})", kinds.join(","))
}

fn parameters(params: &[alloy_json_abi::Param], place: &str) -> Result<Vec<Parameter>, AbiError> {
    params.iter().map(|param| Parameter::of(param).map_err(|error| error.inside(place))).collect()
}

fn mutability(given: alloy_json_abi::StateMutability) -> &'static str {
    match given {
        alloy_json_abi::StateMutability::Pure => "pure",
        alloy_json_abi::StateMutability::View => "view",
        alloy_json_abi::StateMutability::NonPayable => "nonpayable",
        alloy_json_abi::StateMutability::Payable => "payable",
    }
}

fn named(error: AbiError, name: &str) -> AbiError {
    error.inside(&name.chars().take(80).collect::<String>())
}

impl Function {
    pub(crate) fn of(item: &alloy_json_abi::Function) -> Result<Arc<Self>, AbiError> {
        let inputs = parameters(&item.inputs, "inputs").map_err(|error| named(error, &item.name))?;
        let outputs = parameters(&item.outputs, "outputs").map_err(|error| named(error, &item.name))?;
        let signature = signature(&item.name, &inputs);
        Ok(Arc::new(Self {
            name: item.name.clone(),
            selector: Some(selector(&signature)),
            signature,
            inputs,
            outputs,
            mutability: mutability(item.state_mutability),
        }))
    }

    pub(crate) fn of_constructor(item: &alloy_json_abi::Constructor) -> Result<Arc<Self>, AbiError> {
        let inputs = parameters(&item.inputs, "inputs").map_err(|error| named(error, "constructor"))?;
        Ok(Arc::new(Self {
            name: String::new(),
            signature: signature("constructor", &inputs),
            selector: None,
            inputs,
            outputs: Vec::new(),
            mutability: mutability(item.state_mutability),
        }))
    }

    /// The constructor of a contract that declares none.
    pub fn default_constructor() -> Arc<Self> {
        Arc::new(Self {
            name: String::new(),
            signature: "constructor()".into(),
            selector: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            mutability: "nonpayable",
        })
    }

    /// Arguments from text, as people type them: `5`, `0xab..`, `true`, `[1, 2]`, `(1, "a")`. Text and bytes need no quotes
    /// where they are an argument of their own; an address in mixed case must have the right checksum.
    pub fn parse_arguments(&self, arguments: &[String]) -> Result<Vec<Value>, AbiError> {
        if arguments.len() != self.inputs.len() {
            let detail = format!("{} arguments, not {}", arguments.len(), self.inputs.len());
            return Err(AbiError::new(&self.signature, detail));
        }
        let values = self.inputs.iter().zip(arguments).enumerate().map(|(index, (input, text))| {
            parse_argument(input, text)
                .map_err(|error| error.inside(&input.label(index)).inside(&self.signature))
        });
        values.collect()
    }

    /// The selector, if there is one, and the arguments, which must be of the right types.
    pub fn encode(&self, arguments: Vec<Value>) -> Vec<u8> {
        let mut data = Vec::with_capacity(4 + 32 * self.inputs.len());
        data.extend(self.selector.iter().flatten());
        data.extend(Value::Tuple(arguments).abi_encode_params());
        data
    }

    /// The arguments in call data with this function's selector.
    pub fn decode_input(&self, data: &[u8]) -> Result<Vec<Value>, AbiError> {
        let arguments = match self.selector {
            None => data,
            Some(selector) => data.strip_prefix(&selector).ok_or_else(|| {
                AbiError::new("data", format!("does not begin with the selector of {}", self.signature))
            })?,
        };
        decode(&self.inputs, arguments).map_err(|error| error.inside(&self.name))
    }

    /// What the function returned.
    pub fn decode_output(&self, output: &[u8]) -> Result<Vec<Value>, AbiError> {
        if output.is_empty() && !self.outputs.is_empty() {
            let detail = "nothing was returned: is there a contract at the address?";
            return Err(AbiError::new(format!("{}.outputs", self.name), detail));
        }
        decode(&self.outputs, output).map_err(|error| error.inside("outputs").inside(&self.name))
    }

    /// `transfer(to: 0x.., amount: 5)`.
    pub fn call_text(&self, data: &[u8]) -> Result<String, AbiError> {
        let name = if self.selector.is_none() { "constructor" } else { &self.name };
        Ok(format!("{name}({})", shown_values(&self.inputs, &self.decode_input(data)?)))
    }
}

fn parse_argument(input: &Parameter, text: &str) -> Result<Value, AbiError> {
    check_text(text)?;
    if matches!(input.ty.kind, Kind::String) && !text.starts_with('"') {
        return Ok(Value::String(text.into()));
    }
    let value = input.ty.to_dynamic().coerce_str(text).map_err(|error| {
        let shown: String = text.chars().take(80).collect();
        let error = one_line(&error);
        AbiError::new("", format!("{shown:?} is no {}: {error}", input.ty))
    })?;
    if let Value::Address(address) = value {
        let digits = text.trim().trim_start_matches("0x");
        let mixed = digits.bytes().any(|byte| byte.is_ascii_lowercase())
            && digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if mixed && address.to_checksum(None)[2..] != *digits {
            return Err(AbiError::new(
                "",
                format!("wrong checksum: {text} is {}", address.to_checksum(None)),
            ));
        }
    }
    Ok(value)
}

impl Event {
    pub(crate) fn of(item: &alloy_json_abi::Event) -> Result<Arc<Self>, AbiError> {
        let inputs: Vec<Parameter> = item
            .inputs
            .iter()
            .map(|param| Parameter::of_event(param).map_err(|error| error.inside("inputs")))
            .collect::<Result<_, _>>()
            .map_err(|error| named(error, &item.name))?;
        let indexed: Vec<bool> = item.inputs.iter().map(|param| param.indexed).collect();
        let topics = indexed.iter().filter(|indexed| **indexed).count() + usize::from(!item.anonymous);
        if topics > 4 {
            return Err(AbiError::new(&item.name, format!("{topics} topics, more than 4")));
        }
        let body = inputs.iter().zip(&indexed).filter(|(_, indexed)| !**indexed);
        let body = body.map(|(input, _)| input.clone()).collect();
        let signature = signature(&item.name, &inputs);
        Ok(Arc::new(Self {
            name: item.name.clone(),
            topic: keccak256(&signature),
            signature,
            anonymous: item.anonymous,
            inputs,
            indexed,
            body,
        }))
    }

    /// How many topics a log of it has.
    pub fn topic_count(&self) -> usize {
        self.indexed.iter().filter(|indexed| **indexed).count() + usize::from(!self.anonymous)
    }

    /// The parameters that are in the data, in order.
    pub fn body(&self) -> &[Parameter] {
        &self.body
    }

    /// The values in the order of the declaration. What is indexed and takes more than a word is its hash (32 bytes).
    pub fn decode(&self, topics: &[B256], data: &[u8]) -> Result<Vec<Value>, AbiError> {
        self.values(topics, data).map_err(|error| error.inside(&self.name))
    }

    fn values(&self, topics: &[B256], data: &[u8]) -> Result<Vec<Value>, AbiError> {
        if topics.len() != self.topic_count() {
            let detail = format!("{} topics, not {}", topics.len(), self.topic_count());
            return Err(AbiError::new("topics", detail));
        }
        let mut topics = topics;
        if !self.anonymous {
            match topics.split_first() {
                Some((first, rest)) if *first == self.topic => topics = rest,
                _ => {
                    return Err(AbiError::new(
                        "topics",
                        format!("the first is not that of {}", self.signature),
                    ));
                }
            }
        }
        let mut body = decode(&self.body, data)?.into_iter();
        let mut topics = topics.iter();
        let mut values = Vec::with_capacity(self.inputs.len());
        for (index, (input, indexed)) in self.inputs.iter().zip(&self.indexed).enumerate() {
            let value = if *indexed {
                topics.next().map(|topic| indexed_value(input, topic))
            } else {
                body.next().map(Ok)
            };
            let missing = || AbiError::new("", "is missing");
            values.push(
                value.unwrap_or_else(|| Err(missing())).map_err(|error| error.inside(&input.label(index)))?,
            );
        }
        Ok(values)
    }

    /// `Transfer(from: 0x.., to: 0x.., value: 5)`.
    pub fn text(&self, topics: &[B256], data: &[u8]) -> Result<String, AbiError> {
        Ok(format!("{}({})", self.name, shown_values(&self.inputs, &self.decode(topics, data)?)))
    }
}

fn indexed_value(input: &Parameter, topic: &B256) -> Result<Value, AbiError> {
    if input.ty.is_word() { decode_word(&input.ty.kind, &topic.0) } else { Ok(Value::FixedBytes(*topic, 32)) }
}

impl ErrorEntry {
    pub(crate) fn of(item: &alloy_json_abi::Error) -> Result<Arc<Self>, AbiError> {
        let inputs = parameters(&item.inputs, "inputs").map_err(|error| named(error, &item.name))?;
        let signature = signature(&item.name, &inputs);
        Ok(Arc::new(Self { name: item.name.clone(), selector: selector(&signature), signature, inputs }))
    }

    /// What is in an output that begins with its selector.
    pub fn decode(&self, output: &[u8]) -> Result<Vec<Value>, AbiError> {
        let data = output.strip_prefix(&self.selector).ok_or_else(|| {
            AbiError::new("output", format!("does not begin with the selector of {}", self.signature))
        })?;
        decode(&self.inputs, data).map_err(|error| error.inside(&self.name))
    }

    /// `InsufficientBalance(available: 1, required: 2)`.
    pub fn text(&self, output: &[u8]) -> Result<String, AbiError> {
        Ok(format!("{}({})", self.name, shown_values(&self.inputs, &self.decode(output)?)))
    }
}

/// Whether a log or an output that decodes as `values` is nothing but them.
pub(crate) fn is_exactly(values: Vec<Value>, data: &[u8]) -> bool {
    Value::Tuple(values).abi_encode_params() == data
}
