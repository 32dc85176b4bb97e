//! For tests only: a world to restore into that can fail at any moment, and be compared afterwards.
//!
//! A [`Bench`] is a real directory tree, a simulated Docker engine ([`SimDocker`]), a clock that only moves
//! when it is told to ([`FakeClock`]) and a backup that is a directory ([`DirSource`]). [`Faults`] stand
//! between the engine and that world, count everything that is asked of it, and cut the power or answer
//! with an error at a chosen operation. A [`World`] is all of it written down, to tell whether two states
//! are the same. An [`Sshd`] makes this machine look like another. The laws themselves are in `tests/`.

mod attributes;
mod bench;
mod clock;
mod docker;
mod faults;
mod faulty;
mod host;
mod mounted;
mod on_file;
mod plans;
mod power;
mod scenes;
mod source;
mod sshd;
mod tree;
mod watch;
mod world;

pub use bench::{Bench, Run, scratch};
pub use clock::FakeClock;
pub use docker::{Restart, SimContainer, SimDocker, Wellness};
pub use faults::{Fault, Faults, Kind, Moment, Operation};
pub use faulty::{FaultyClock, FaultyHost, FaultySource};
pub use host::TestHost;
pub use mounted::{Mounted, fill};
pub use on_file::{OnFile, subvolume};
pub use plans::{plan, restless, stage};
pub use power::{PowerCut, until_power_cut};
pub use scenes::Scene;
pub use source::DirSource;
pub use sshd::Sshd;
pub use tree::{plant, settle};
pub use watch::Watcher;
pub use world::World;
