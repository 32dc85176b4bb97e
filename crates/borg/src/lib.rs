//! Reads backup repositories written by Borg 1.x: natively, verified, in parallel, and without ever changing them.
//!
//! ```text
//! Repository::open ─ lock ─ index ─ key ─ manifest ─┬─ archives()
//!                                                   ├─ verify()
//!                                                   └─ archive(name) ─┬─ info()
//!                                                                     ├─ items() / scan() / find()
//!                                                                     ├─ catalogue()
//!                                                                     ├─ read()
//!                                                                     ├─ extract() / check()
//!                                                                     └─ export_tar()
//! ```
//!
//! ```no_run
//! use reprise_borg::{Extraction, OpenOptions, Placement, Repository};
//! use reprise_model::Unobserved;
//! use secrecy::SecretString;
//!
//! # fn main() -> Result<(), reprise_borg::Error> {
//! let passphrase = || Ok(Some(SecretString::from("correct horse")));
//! let options = OpenOptions { passphrase: &passphrase, ..OpenOptions::default() };
//! let repository = Repository::open("/backup/web", &options)?;
//! let archive = repository.archive("web-2024-03-01")?;
//! // The volume becomes `stage/volume`, with its own owner, mode and times.
//! let volume = Placement::new("var/lib/docker/volumes/x/_data", "stage/volume");
//! let report = archive.extract(&Extraction::of([volume]), "/restore".as_ref(), &Unobserved)?;
//! for problem in &report.problems {
//!     // Damaged or refused items; everything else is there.
//!     # let _ = problem.to_string();
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Three promises hold everywhere:
//!
//! * **Never wrong data.** The checksum, the authentication code and the id of every chunk are verified
//!   before a byte of it is used. Damage is an [`Error`] or a [`Problem`], never a different content.
//! * **The repository is only read.** Borg repairs a missing or stale index on disk even while listing; here it
//!   is rebuilt in memory. The one thing written is the shared lock that keeps writers out, and it goes again.
//! * **Archives are hostile input.** Nothing panics on them, memory is bounded by the data at hand, and
//!   extraction cannot leave its root.
//!
//! [`Repository::connect`] opens a repository on a server instead, through the `borg serve` there.
//!
//! The library never prints and never reads the environment: passphrases, key directories and the host id come
//! in through [`OpenOptions`].

mod archive;
mod catalogue;
mod compression;
mod crypto;
mod error;
mod extract;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
mod index;
mod item;
mod known;
mod lock;
mod manifest;
mod msgpack;
mod pattern;
mod processors;
mod remote;
mod repository;
mod segment;
mod store;
mod verify;

pub use archive::{Archive, ArchiveInfo, ArchiveStats, DirectorySize, Items, LostItems, Tam};
pub use catalogue::{Catalogue, Entry, Node};
pub use crypto::{Encryption, PassphraseError};
pub use error::Error;
pub use extract::{
    Attribute, Change, Changed, Described, Extraction, Options, Owners, Placement, Problem, ProblemKind,
    Report,
};
pub use id::Id;
pub use item::{Chunk, Item, Kind, Xattr};
pub use lock::{Lock, release_locks};
pub use manifest::ArchiveEntry;
pub use pattern::{Pattern, Rules, Selection, Style};
pub use remote::{Server, Shell};
pub use repository::{Buffers, OpenOptions, Repository};
pub use verify::{Damage, Verification, VerifiedArchive};
