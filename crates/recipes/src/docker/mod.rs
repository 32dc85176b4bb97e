//! Restoring Docker environments: volumes, Compose projects, the engine's configuration (DR-1 to DR-25).
//!
//! [`analyse`] tells what an archive holds, [`survey`] looks at the host, [`plan`] puts the two and a
//! person's choice together. Only the survey and the [`inventory`] touch a host, and they only look.

mod adapt;
mod analyse;
mod checks;
pub mod compose;
mod estimate;
mod files;
mod health;
mod inventory;
mod layout;
mod mirror;
mod order;
mod plan;
mod protection;
mod recorded;
mod recreate;
mod request;
mod space;
mod survey;
#[cfg(test)]
mod tests;
mod under;
mod versions;

pub use adapt::{Preview, preview};
pub use analyse::analyse;
pub use files::Texts;
pub use health::{HealthChoice, Wellbeing};
pub use inventory::{Image, Inventory, LeftOut, Reason, inventory};
pub use plan::plan;
pub use recorded::RecordedItem;
pub use recreate::{External, Making, Project, Record, Recreating, State, look as look_at_making};
pub use request::Request;
pub use survey::{Archiving, Binds, Facts, Outside, Site, SurveyError, Taken, survey};
pub use under::Under;
pub use versions::{DataVersion, Engine};
