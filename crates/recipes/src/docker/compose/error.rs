//! What can go wrong with a compose file, in words for the person who has to fix it.

use thiserror::Error;

/// Why a compose file could not be read, ordered or rewritten. Lines and columns count from one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The text is larger than [`limits::TEXT_BYTES`](super::limits::TEXT_BYTES).
    #[error("the compose file is {bytes} bytes long; at most {limit} are read")]
    TooLarge {
        /// Size of the text.
        bytes: usize,
        /// The limit it exceeds.
        limit: usize,
    },
    /// Lists and mappings are nested deeper than [`limits::DEPTH`](super::limits::DEPTH).
    #[error("line {line}: more than {limit} levels of nesting")]
    TooDeep {
        /// Where the limit was passed.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// The file has too many values, written out or through aliases.
    #[error("the compose file holds more than {limit} values once its aliases are expanded")]
    TooManyValues {
        /// The limit.
        limit: usize,
    },
    /// An alias stands inside the very value it refers to.
    #[error("line {line}: the alias refers to the value it stands in")]
    RecursiveAlias {
        /// Line of the alias.
        line: usize,
    },
    /// The text is not YAML.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Line of the mistake.
        line: usize,
        /// Column of the mistake, in characters.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// There is nothing in the file.
    #[error("the compose file is empty")]
    Empty,
    /// The file holds more than one YAML document.
    #[error("line {line}: a second YAML document begins; only files with one document are supported")]
    SeveralDocuments {
        /// Line where the second document begins.
        line: usize,
    },
    /// Something that must be a mapping is not.
    #[error("line {line}: `{what}` must be a mapping of names to definitions")]
    NotAMapping {
        /// The key, or `the file` for the whole.
        what: String,
        /// Line of the value.
        line: usize,
    },
    /// A path of the relocation is not absolute.
    #[error("`{path}` is not an absolute path")]
    RelativeLocation {
        /// The path.
        path: String,
    },
    /// One value serves, through an anchor, a place that must change and one that must not.
    #[error("line {line}: `{value}` is shared through an anchor with places that need different values")]
    SharedValue {
        /// Line of the value.
        line: usize,
        /// The value as it stands.
        value: String,
    },
    /// The rewritten text does not parse to what was intended. Nothing of it is used.
    #[error("the rewritten compose file would differ in more than the intended places ({detail})")]
    RewriteRefused {
        /// The first difference.
        detail: String,
    },
}

impl ComposeError {
    /// What the reader can do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooDeep { .. } | Self::TooManyValues { .. } => {
                "This is far beyond any real compose file: check that the right file was taken, and that it is not damaged."
            }
            Self::RecursiveAlias { .. } | Self::Syntax { .. } => {
                "Correct the line, or take the file from an older archive; `docker compose config` shows the same mistake."
            }
            Self::Empty => "Take the file from an older archive.",
            Self::SeveralDocuments { .. } => {
                "Merge the documents into one, or restore the file without adapting it."
            }
            Self::NotAMapping { .. } => "Correct the section; Compose would refuse this file too.",
            Self::RelativeLocation { .. } => "Give the full path, beginning with `/`.",
            Self::SharedValue { .. } => {
                "Write the value out at both places instead of using the alias, or restore the file without adapting it and edit it by hand."
            }
            Self::RewriteRefused { .. } => {
                "Restore the file without adapting it and edit the paths by hand; please report the file, it shows a defect."
            }
        }
    }
}
