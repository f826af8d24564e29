//! An artefact: one file that is a model. Read under limits (`container`, `canonical`), its identity the SHA-256 of
//! its bytes, its graph admitted only if every shape fits and every sum is proven to stay in range (`admission`).

mod admission;
pub mod canonical;
pub mod container;
mod cost;
mod error;
mod fields;
pub mod graph;
pub mod operator;

pub use container::{Bytes, Dtype, Tensor};
pub use cost::{Cost, NodeCost};
pub use error::{ArtefactError, Limit};
pub use graph::{Axis, Coding, Extents, Facts, Graph, Node, Operand};
pub use operator::Operator;

/// An admitted artefact.
#[derive(Debug)]
pub struct Artefact {
    /// SHA-256 of the file.
    pub identity: [u8; 32],
    /// Length of the file in bytes.
    pub file_bytes: usize,
    /// The graph's canonical text.
    pub text: String,
    /// The graph.
    pub graph: Graph,
}

impl Artefact {
    /// Reads and admits a whole file.
    ///
    /// # Errors
    /// With the node or field to blame: not canonical, beyond a limit, shapes that do not fit, sums that may overflow.
    pub fn read(bytes: &Bytes) -> Result<Self, ArtefactError> {
        let container = container::read(bytes)?;
        let value = canonical::read(container.graph.as_bytes(), "graph")?;
        let graph = Graph::read(value, container.tensors)?;
        let container::Container { identity, graph: text, file_bytes, .. } = container;
        Ok(Self { identity, file_bytes, text, graph })
    }

    /// How many numbers the tensors hold.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.graph.tensors.iter().map(|(_, tensor)| tensor.elements()).sum()
    }
}
