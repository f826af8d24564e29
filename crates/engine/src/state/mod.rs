//! State as a value: what an engine reads (`StateReader`), the in-memory state, and the one ChangeSet per block
//! from which diff, undo, root and digest are read. Nothing here executes.

pub mod changes;
pub mod memory;
pub mod reader;

pub use changes::{AccountChange, AccountFields, ChangeSet, SlotChange};
pub use memory::{MemoryState, StateAccount};
pub use reader::{Read, StateReader, Ticket};
