//! The command line, as clap sees it.

mod host;
mod reader;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use reprise_model::{Adaptation, ItemRef, RestoreType};

use crate::hosts::Name;
use crate::repository::{Location, Place};
pub use host::{HostAction, HostArgs};
