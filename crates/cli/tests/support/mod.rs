//! What the tests of the whole program share: shops in real Docker, backed up with the real `borg`, and exact
//! pictures of what lies on disk and in Docker before and after.
//!
//! Everything a test makes carries its process id, in labels and in names. It is removed when the test ends, also by
//! a panic; what a killed test leaves behind is removed by the next one that starts.

mod docker;
mod fill;
mod guest;
mod program;
mod sandbox;
mod shop;
mod tree;

pub use docker::{docker, made, wait_until};
pub use fill::noise;
pub use guest::Guest;
pub use program::{Ended, run, run_in, start};
pub use sandbox::{OWNER_LABEL, owner};
pub use shop::{Before, Damage, PASSPHRASE, Shop, Trees, page};
pub use tree::{Tree, assert_same};
