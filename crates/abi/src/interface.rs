//! All entries of one contract, found by name, by signature and by what a selector or a topic says.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy_json_abi::{AbiItem, Constructor, Fallback, Receive};
use alloy_primitives::B256;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Value;
use crate::entry::{ErrorEntry, Event, Function, is_exactly};
use crate::error::AbiError;

/// The most entries of an interface.
pub const MAX_ENTRIES: usize = 10_000;

/// An event and its values.
pub type Logged = (Arc<Event>, Vec<Value>);

/// The functions, events and errors of a contract.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// In the order in which they were given.
    pub functions: Vec<Arc<Function>>,
    /// In the order in which they were given.
    pub events: Vec<Arc<Event>>,
    /// In the order in which they were given.
    pub errors: Vec<Arc<ErrorEntry>>,
    /// What creates the contract.
    pub constructor: Option<Arc<Function>>,
    by_selector: HashMap<[u8; 4], Arc<Function>>,
    by_name: BTreeMap<String, Vec<Arc<Function>>>,
    by_topic: HashMap<B256, Vec<Arc<Event>>>,
    error_by_selector: HashMap<[u8; 4], Arc<ErrorEntry>>,
    /// Entries that nobody can call from outside, with the reason: functions of libraries that take storage or another
    /// contract's types, and the decimals of old Vyper.
    pub unusable: BTreeMap<String, String>,
    /// Each entry as JSON, as it was understood.
    json: Vec<String>,
}

/// What tells the kinds of entries apart.
#[derive(Deserialize)]
struct Tag {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

/// The types of an entry, as they are written.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    inputs: Vec<WrittenType>,
    #[serde(default)]
    outputs: Vec<WrittenType>,
}

#[derive(Deserialize)]
struct WrittenType {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    components: Vec<WrittenType>,
}

impl WrittenType {
    /// A type of this or of a part that no call data can have.
    fn foreign(&self) -> Option<&str> {
        let kind = self.kind.as_str();
        let named = kind.contains([' ', '.']) || kind.starts_with(|first: char| first.is_ascii_uppercase());
        let decimal = kind.starts_with("fixed") || kind.starts_with("ufixed");
        if named || decimal { Some(kind) } else { self.components.iter().find_map(Self::foreign) }
    }
}

impl Interface {
    /// From JSON: a list of entries, each an object or a human-readable signature.
    pub fn from_json(text: &str) -> Result<Self, AbiError> {
        let entries: Vec<&RawValue> = serde_json::from_str(text)
            .map_err(|error| AbiError::new("abi", format!("not a list: {error}")))?;
        let mut interface = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            let added = if entry.get().starts_with('"') {
                let text: Result<String, _> = serde_json::from_str(entry.get());
                text.map_err(|error| AbiError::new("", error.to_string()))
                    .and_then(|text| interface.add_signature(&text))
            } else {
                interface.add_object(entry.get())
            };
            added.map_err(|error| error.inside(&format!("[{index}]")))?;
        }
        Ok(interface)
    }

    /// From human-readable signatures: `function transfer(address to, uint256 amount) returns (bool)`.
    pub fn from_signatures<'a>(signatures: impl IntoIterator<Item = &'a str>) -> Result<Self, AbiError> {
        let mut interface = Self::default();
        for (index, text) in signatures.into_iter().enumerate() {
            interface.add_signature(text).map_err(|error| error.inside(&format!("[{index}]")))?;
        }
        Ok(interface)
    }

    fn add_object(&mut self, text: &str) -> Result<(), AbiError> {
        fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, AbiError> {
            serde_json::from_str(text).map_err(|error| AbiError::new("", error.to_string()))
        }
        let tag: Tag = read(text)?;
        let place = tag.name.clone().unwrap_or_default();
        // The specification's default, which compilers of long ago relied on.
        let kind = tag.kind.as_deref().unwrap_or("function");
        // What else is wrong with it is told below.
        let written: Option<Written> = serde_json::from_str(text).ok();
        let foreign = written
            .as_ref()
            .and_then(|written| written.inputs.iter().chain(&written.outputs).find_map(WrittenType::foreign));
        if let Some(foreign) = foreign {
            let shown: String = foreign.chars().take(80).collect();
            self.unusable.insert(place, format!("no call data can have the type {shown:?}"));
            return self.keep(text.to_owned());
        }
        let item = match kind {
            "function" => read(text).map(AbiItem::Function),
            "event" => read(text).map(AbiItem::Event),
            "error" => read(text).map(AbiItem::Error),
            "constructor" => read::<Constructor>(text).map(AbiItem::from),
            "fallback" => read::<Fallback>(text).map(AbiItem::from),
            "receive" => read::<Receive>(text).map(AbiItem::from),
            other => Err(AbiError::new("type", format!("{other:?} is no kind of entry"))),
        };
        self.add(item.map_err(|error| error.inside(&place))?)
    }

    fn add_signature(&mut self, text: &str) -> Result<(), AbiError> {
        match crate::signature::parse(text)? {
            Some(item) => self.add(item),
            None => Ok(()),
        }
    }

    fn add(&mut self, item: AbiItem<'_>) -> Result<(), AbiError> {
        match &item {
            AbiItem::Function(function) => self.add_function(Function::of(function)?),
            AbiItem::Event(event) => self.add_event(Event::of(event)?),
            AbiItem::Error(error) => {
                let error = ErrorEntry::of(error)?;
                self.error_by_selector.entry(error.selector).or_insert_with(|| error.clone());
                self.errors.push(error);
            }
            AbiItem::Constructor(constructor) => {
                self.constructor = Some(Function::of_constructor(constructor)?);
            }
            AbiItem::Fallback(_) | AbiItem::Receive(_) => {}
        }
        self.keep(serde_json::to_string(&item).map_err(|error| AbiError::new("", error.to_string()))?)
    }

    fn keep(&mut self, json: String) -> Result<(), AbiError> {
        if self.json.len() == MAX_ENTRIES {
            return Err(AbiError::new("", format!("more than {MAX_ENTRIES} entries")));
        }
        self.json.push(json);
        Ok(())
    }

    fn add_function(&mut self, function: Arc<Function>) {
        let overloads = self.by_name.entry(function.name.clone()).or_default();
        if overloads.iter().any(|known| known.signature == function.signature) {
            return;
        }
        overloads.push(function.clone());
        if let Some(selector) = function.selector {
            self.by_selector.entry(selector).or_insert_with(|| function.clone());
        }
        self.functions.push(function);
    }

    fn add_event(&mut self, event: Arc<Event>) {
        if !event.anonymous {
            self.by_topic.entry(event.topic).or_default().push(event.clone());
        }
        self.events.push(event);
    }

    /// The interface as JSON, from which it can be read again.
    pub fn to_json(&self) -> String {
        format!("[{}]", self.json.join(","))
    }

    /// All functions of a name; or the one of a signature.
    pub fn functions_named(&self, name: &str) -> Vec<Arc<Function>> {
        let bare = name.split('(').next().unwrap_or_default();
        let overloads = self.by_name.get(bare).map(Vec::as_slice).unwrap_or_default();
        let wanted = |function: &&Arc<Function>| bare.len() == name.len() || function.signature == name;
        overloads.iter().filter(wanted).cloned().collect()
    }

    /// The function that call data begins with.
    pub fn function(&self, data: &[u8]) -> Option<&Arc<Function>> {
        self.by_selector.get(data.first_chunk::<4>()?)
    }

    /// The error that a revert begins with.
    pub fn error(&self, output: &[u8]) -> Option<&Arc<ErrorEntry>> {
        self.error_by_selector.get(output.first_chunk::<4>()?)
    }

    /// The event of a log, and its values. Events that share a topic are told apart by the number of topics (as the
    /// transfers of ERC-20 and ERC-721 are); an anonymous event is taken where it is the only one whose encoding the log
    /// could be. An error where the log names an event and does not fit it.
    pub fn log(&self, topics: &[B256], data: &[u8]) -> Result<Option<Logged>, AbiError> {
        let named = topics.first().and_then(|topic| self.by_topic.get(topic));
        if let Some(events) = named {
            let fits = events.iter().find(|event| event.topic_count() == topics.len());
            let event = fits.or(events.first());
            return event.map(|event| Ok((event.clone(), event.decode(topics, data)?))).transpose();
        }
        let mut found = None;
        for event in self.events.iter().filter(|event| event.anonymous) {
            let Ok(values) = event.decode(topics, data) else { continue };
            let body = values.iter().zip(&event.indexed).filter(|(_, indexed)| !**indexed);
            if !is_exactly(body.map(|(value, _)| value.clone()).collect(), data) {
                continue;
            }
            if found.is_some() {
                return Ok(None);
            }
            found = Some((event.clone(), values));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};

    use super::*;

    const TWO_TRANSFERS: [&str; 4] = [
        "event Transfer(address indexed from, address indexed to, uint256 value)",
        "event Transfer(address indexed from, address indexed to, uint256 indexed id)",
        "event Quiet(uint256 value) anonymous",
        "event Other(bytes32 value, string text) anonymous",
    ];

    fn word(number: u64) -> B256 {
        U256::from(number).into()
    }

    #[test]
    fn events_of_one_topic_are_told_apart_by_their_topics() {
        let interface = Interface::from_signatures(TWO_TRANSFERS).unwrap();
        let topic = interface.events[0].topic;
        assert_eq!(topic, interface.events[1].topic);
        let (fungible, values) =
            interface.log(&[topic, word(1), word(2)], word(3).as_slice()).unwrap().unwrap();
        assert_eq!(
            (fungible.inputs[2].name.as_str(), &values[2]),
            ("value", &Value::Uint(U256::from(3), 256))
        );
        let (other, values) = interface.log(&[topic, word(1), word(2), word(3)], &[]).unwrap().unwrap();
        assert_eq!(
            (other.inputs[2].name.as_str(), &values[0]),
            ("id", &Value::Address(Address::with_last_byte(1)))
        );
        // It names an event, and is none.
        assert!(interface.log(&[topic], &[]).is_err());
        assert!(interface.log(&[topic, word(1), word(2)], &[]).is_err());
    }

    #[test]
    fn an_anonymous_event_is_what_only_it_can_be() {
        let interface = Interface::from_signatures(TWO_TRANSFERS).unwrap();
        let (quiet, _) = interface.log(&[], word(3).as_slice()).unwrap().unwrap();
        assert_eq!(quiet.name, "Quiet");
        assert!(interface.log(&[], &[0; 31]).unwrap().is_none());
        assert!(interface.log(&[], &[0; 64]).unwrap().is_none());
        let two = ["event A(uint256 a) anonymous", "event B(bytes32 b) anonymous"];
        assert!(Interface::from_signatures(two).unwrap().log(&[], word(3).as_slice()).unwrap().is_none());
    }

    #[test]
    fn what_a_library_takes_is_left_alone() {
        let entry = |kind: &str| {
            format!(
                r#"{{"type":"function","name":"f","inputs":[{{"name":"self","type":"{kind}"}}],"outputs":[],
                    "stateMutability":"view"}}"#
            )
        };
        for kind in ["Lib.Data storage", "Token", "Lib.Choice[]", "fixed168x10"] {
            let interface = Interface::from_json(&format!("[{}]", entry(kind))).unwrap();
            assert!(interface.functions.is_empty());
            assert!(interface.unusable["f"].contains(kind));
            let again = Interface::from_json(&interface.to_json()).unwrap();
            assert_eq!(again.unusable, interface.unusable);
        }
        assert!(Interface::from_json(&format!("[{}]", entry("uint257"))).is_err());
    }

    #[test]
    fn json_comes_back() {
        let interface = Interface::from_signatures(TWO_TRANSFERS).unwrap();
        let again = Interface::from_json(&interface.to_json()).unwrap();
        assert_eq!(again.events, interface.events);
        let function =
            Interface::from_signatures(["f((uint a, (bool b)[] c) d) payable returns (int)"]).unwrap();
        let again = Interface::from_json(&function.to_json()).unwrap();
        assert_eq!(again.functions, function.functions);
        assert_eq!(again.functions[0].signature, "f((uint256,(bool)[]))");
        assert_eq!(again.functions[0].mutability, "payable");
    }
}
