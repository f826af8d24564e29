//! Why an artefact or an input is refused: always with the node or the field to blame.

use std::fmt;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of the file.
    FileBytes,
    /// Bytes of the header.
    HeaderBytes,
    /// Nesting of lists and objects.
    Depth,
    /// Values of a JSON text.
    Values,
    /// Nodes of a graph.
    Nodes,
    /// Tensors of an artefact.
    Tensors,
    /// Axes of a tensor.
    Axes,
    /// Elements of a tensor or value.
    Elements,
    /// Bytes of a name.
    NameBytes,
    /// Inputs or outputs of a graph.
    Ports,
    /// Names of classes.
    Labels,
    /// Bytes of memory of a run.
    MemoryBytes,
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::FileBytes => "bytes of the file",
            Self::HeaderBytes => "bytes of the header",
            Self::Depth => "depth of nesting",
            Self::Values => "values",
            Self::Nodes => "nodes",
            Self::Tensors => "tensors",
            Self::Axes => "axes",
            Self::Elements => "elements",
            Self::NameBytes => "bytes of a name",
            Self::Ports => "entries",
            Self::Labels => "labels",
            Self::MemoryBytes => "bytes of memory",
        })
    }
}

/// An artefact that is not admitted, or an input that does not fit its graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct ArtefactError {
    /// The node (`nodes[3] linear "encoder.0.query"`), tensor, input or part of the file to blame.
    pub field: String,
    /// What is wrong, with the values.
    pub detail: String,
}

impl ArtefactError {
    /// A field with what is wrong in it.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }

    /// More of something than is allowed.
    pub fn limit(field: impl Into<String>, limit: Limit, most: impl fmt::Display) -> Self {
        Self::field(field, format!("more than {most} {limit}"))
    }

    /// The same failure, inside a larger place.
    #[must_use]
    pub fn inside(self, place: &str) -> Self {
        Self { field: format!("{place}: {}", self.field), detail: self.detail }
    }
}
