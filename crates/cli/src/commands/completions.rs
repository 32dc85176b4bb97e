//! `reprise completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::{Exit, Failure};
use crate::ui::out;

/// Prints the completion script of `shell`.
#[expect(clippy::unnecessary_wraps, reason = "all commands have one shape")]
pub fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reprise", &mut script);
    out(format_args!("{}", String::from_utf8_lossy(&script).trim_end()));
    Ok(Exit::Done)
}
