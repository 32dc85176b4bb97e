//! `reprise completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::{Exit, Failure};

/// Prints the completion script of `shell`.
#[expect(clippy::unnecessary_wraps, reason = "all commands have one shape")]
pub fn run(shell: Shell) -> Result<Exit, Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "reprise", &mut std::io::stdout());
    Ok(Exit::Done)
}
