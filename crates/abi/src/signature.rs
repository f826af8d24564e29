//! Human-readable signatures, with what alloy's parser leaves out: names inside of tuples, and the words that may stand in
//! a declaration of Solidity.
//!
//! ```text
//! [function|event|error|constructor] [name] ( parameters ) word* [returns ( parameters )]
//! parameter: type [word*] [name]      type: elementary | [tuple] ( parameters ), and then [] or [n] any number of times
//! ```

use alloy_json_abi::{AbiItem, Constructor, Error, Event, EventParam, Function, Param, StateMutability};

use crate::error::AbiError;
use crate::parameter::{MAX_NESTING, check_text};

/// Words that say where something lives, or who may call: they are no part of the interface.
const PASSED_OVER: [&str; 9] =
    ["external", "public", "internal", "private", "virtual", "override", "memory", "calldata", "storage"];
/// The most parameters of one list.
const MAX_PARAMETERS: usize = 1024;

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

/// A parameter as it is written.
struct Written {
    param: Param,
    indexed: bool,
}

/// Reads one signature; None for `receive()` and `fallback()`, which have no interface.
pub fn parse(text: &str) -> Result<Option<AbiItem<'static>>, AbiError> {
    check_text(text)?;
    let text = text.trim().trim_end_matches(';').trim_end();
    let found = Parser { rest: text, depth: 0 }.item();
    found.map_err(|error| {
        let shown: String = text.chars().take(80).collect();
        AbiError::new(error.field, format!("{shown:?}: {}", error.detail))
    })
}

fn wrong(detail: impl Into<String>) -> AbiError {
    AbiError::new("", detail)
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let first = characters.next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || "_$".contains(first))
        && characters.all(|next| next.is_ascii_alphanumeric() || "_$".contains(next))
}

impl<'a> Parser<'a> {
    fn item(&mut self) -> Result<Option<AbiItem<'static>>, AbiError> {
        let mut keyword = self.word();
        let mut name = "";
        if matches!(keyword, "function" | "event" | "error") {
            // A function may be called `event` where no keyword stands before it.
            name = self.word();
        } else if !matches!(keyword, "constructor" | "receive" | "fallback") {
            (name, keyword) = (keyword, "function");
        }
        if name.is_empty() && matches!(keyword, "function" | "event" | "error") && self.rest.starts_with('(')
        {
            (name, keyword) = (keyword, "function");
        }
        if keyword == "receive" || keyword == "fallback" {
            return Ok(None);
        }
        if keyword != "constructor" && !is_name(name) {
            return Err(wrong(format!("{name:?} is no name")));
        }
        let inputs = self.parameters()?;
        let (mut mutability, mut anonymous, mut outputs) = (StateMutability::NonPayable, false, Vec::new());
        while !self.rest.is_empty() {
            if self.rest.starts_with('(') {
                // As some tools write it: balanceOf(address)(uint256).
                outputs = self.parameters()?;
                continue;
            }
            match self.word() {
                "view" | "constant" => mutability = StateMutability::View,
                "pure" => mutability = StateMutability::Pure,
                "payable" => mutability = StateMutability::Payable,
                "nonpayable" => {}
                "anonymous" if keyword == "event" => anonymous = true,
                "returns" if keyword == "function" => outputs = self.parameters()?,
                word if PASSED_OVER.contains(&word) => {}
                "" => return Err(wrong(format!("{:?} is too much", self.shown()))),
                word => return Err(wrong(format!("{word:?} is too much"))),
            }
        }
        if let Some(index) = inputs.iter().position(|input| input.indexed && keyword != "event") {
            return Err(AbiError::new(format!("[{index}]"), "only an event has indexed parameters"));
        }
        let name = name.to_owned();
        let plain = |written: Vec<Written>| written.into_iter().map(|written| written.param).collect();
        Ok(Some(match keyword {
            "event" => {
                let inputs = inputs.into_iter().map(|Written { param, indexed }| EventParam {
                    ty: param.ty,
                    name: param.name,
                    indexed,
                    components: param.components,
                    internal_type: None,
                });
                Event { name, inputs: inputs.collect(), anonymous }.into()
            }
            "error" => Error { name, inputs: plain(inputs) }.into(),
            "constructor" => Constructor { inputs: plain(inputs), state_mutability: mutability }.into(),
            _ => Function {
                name,
                inputs: plain(inputs),
                outputs: plain(outputs),
                state_mutability: mutability,
            }
            .into(),
        }))
    }

    fn shown(&self) -> String {
        self.rest.chars().take(20).collect()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Letters up to the next bracket, comma or space.
    fn word(&mut self) -> &'a str {
        self.skip_spaces();
        let end = self.rest.find(|next: char| "()[],".contains(next) || next.is_whitespace());
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        self.skip_spaces();
        word
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_spaces();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        self.skip_spaces();
        rest.is_some()
    }

    fn parameters(&mut self) -> Result<Vec<Written>, AbiError> {
        if !self.take('(') {
            return Err(wrong(format!("\"(\" is expected before {:?}", self.shown())));
        }
        self.depth += 1;
        if self.depth > MAX_NESTING + 1 {
            return Err(wrong(format!("nested deeper than {MAX_NESTING}")));
        }
        let mut found = Vec::new();
        if !self.take(')') {
            loop {
                if found.len() == MAX_PARAMETERS {
                    return Err(wrong(format!("more than {MAX_PARAMETERS} parameters")));
                }
                found.push(self.parameter()?);
                if self.take(')') {
                    break;
                }
                if !self.take(',') {
                    return Err(wrong(format!("\",\" or \")\" is expected before {:?}", self.shown())));
                }
            }
        }
        self.depth -= 1;
        Ok(found)
    }

    fn parameter(&mut self) -> Result<Written, AbiError> {
        let mut ty = self.word().to_owned();
        let mut components = Vec::new();
        if self.rest.starts_with('(') && (ty.is_empty() || ty == "tuple") {
            ty = "tuple".into();
            components = self.parameters()?.into_iter().map(|written| written.param).collect();
            if components.is_empty() {
                return Err(wrong("an empty tuple has no encoding"));
            }
        }
        if ty.is_empty() {
            return Err(wrong(format!("a type is expected before {:?}", self.shown())));
        }
        while self.rest.starts_with('[') {
            let end = self.rest.find(']').ok_or_else(|| wrong("\"]\" is missing"))?;
            ty.extend(self.rest[..=end].chars().filter(|next| !next.is_whitespace()));
            self.rest = &self.rest[end + 1..];
            self.skip_spaces();
        }
        let (mut indexed, mut name) = (false, "");
        while !self.rest.starts_with([',', ')']) && !self.rest.is_empty() {
            match self.word() {
                "indexed" => indexed = true,
                "memory" | "calldata" | "storage" => {}
                "payable" if ty == "address" => {}
                word if name.is_empty() && is_name(word) => name = word,
                "" => return Err(wrong(format!("{:?} is unexpected", self.shown()))),
                word => return Err(wrong(format!("{word:?} is unexpected"))),
            }
        }
        let param = Param { ty: canonical(&ty), name: name.into(), components, internal_type: None };
        Ok(Written { param, indexed })
    }
}

/// `uint` is `uint256`, and so is `uint[]` `uint256[]`.
fn canonical(ty: &str) -> String {
    let end = ty.find('[').unwrap_or(ty.len());
    match &ty[..end] {
        name @ ("uint" | "int") => format!("{name}256{}", &ty[end..]),
        _ => ty.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::Interface;

    fn read(text: &str) -> Result<String, String> {
        let interface = Interface::from_signatures([text]).map_err(|error| error.to_string())?;
        let function = interface.functions.first().or(interface.constructor.as_ref());
        Ok(function.map_or_else(String::new, |function| {
            let names = |list: &[crate::Parameter]| {
                list.iter().map(|item| format!("{} {}", item.ty, item.name)).collect::<Vec<_>>().join(";")
            };
            format!("{} {}->{}", function.mutability, names(&function.inputs), names(&function.outputs))
        }))
    }

    #[test]
    fn what_people_write_is_read() {
        for (text, expected) in [
            ("function f()", "nonpayable ->"),
            ("f ( uint a , int8 [ 2 ] [] b ) view", "view uint256 a;int8[2][] b->"),
            ("function f(uint) external view virtual override returns(uint)", "view uint256 ->uint256 "),
            ("balanceOf(address)(uint256)", "nonpayable address ->uint256 "),
            (
                "function f(address payable a, string memory b) public payable;",
                "payable address a;string b->",
            ),
            ("f((uint a, tuple(bool b)[2] c)[] d)", "nonpayable (uint256,(bool)[2])[] d->"),
            ("function function(function f)", "nonpayable function f->"),
            ("event(bool error)", "nonpayable bool error->"),
            ("constructor(uint supply) payable", "payable uint256 supply->"),
            ("receive() external payable", ""),
        ] {
            assert_eq!(read(text), Ok(expected.into()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, says) in [
            ("", "is no name"),
            ("f", "\"(\" is expected"),
            ("f(", "a type is expected"),
            ("f(uint a b)", "\"b\" is unexpected"),
            ("f(uint a", "\",\" or \")\" is expected"),
            ("f(uint[)", "\"]\" is missing"),
            ("f(uint[x] a)", "uint256[x]"),
            ("f(uint[0] a)", "uint256[0]"),
            ("f() returns", "\"(\" is expected"),
            ("f() surprise", "\"surprise\" is too much"),
            ("f(()) ", "an empty tuple"),
            ("f(colour a)", "colour"),
            ("f(uint indexed a)", "only an event has indexed"),
            ("function 5f()", "is no name"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
