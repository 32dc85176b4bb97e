//! The `reprise` program: recovery from the backups people already have.
//!
//! Parts are wired together here and nowhere else. One file per command in [`commands`]; what people see is
//! put together in [`view`]; what the environment says is read once, in [`env`].

mod args;
mod ask;
mod commands;
mod env;
mod failure;
mod hosts;
mod meter;
mod passphrase;
mod progress;
mod repository;
mod selection;
mod signals;
mod troubles;
mod ui;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::ui::Ui;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let env = Env::read(&cli);
    let ui = Ui::new(&env, cli.wants_json());
    let done = signals::watch(&env.stop, ui.word("stopping"), ui.word("cancelling"))
        .map_err(Failure::from)
        .and_then(|cancel| match cli.command {
            Command::Archives(args) => commands::archives::run(&args, &env, &ui, &cancel),
            Command::Contents(args) => commands::contents::run(&args, &env, &ui, &cancel),
            Command::Ls(args) => commands::ls::run(&args, &env, &ui, &cancel),
            Command::Find(args) => commands::find::run(&args, &env, &ui, &cancel),
            Command::Mount(args) => commands::mount::run(&args, &env, &ui, &cancel),
            Command::Umount(args) => commands::mount::umount(&args, &ui),
            Command::Cat(args) => commands::cat::run(&args, &env, &ui, &cancel),
            Command::Extract(args) => commands::extract::run(&args, &env, &ui, &cancel),
            Command::ExportTar(args) => commands::export_tar::run(&args, &env, &ui, &cancel),
            Command::Verify(args) => commands::verify::run(&args, &env, &ui, &cancel),
            Command::Info(args) => commands::info::run(&args, &env, &ui, &cancel),
            Command::Docker(args::DockerCommand::Inventory(args)) => {
                commands::docker_inventory::run(&args, &env, &ui)
            }
            Command::Docker(args::DockerCommand::Restore(args)) => {
                commands::docker_restore::run(&args, &env, &ui, &cancel)
            }
            Command::Host(args) => commands::host::run(&args, &env, &ui),
            Command::Operations(args) => commands::operations::run(&args, &env, &ui, &cancel),
            Command::Completions { shell } => commands::completions::run(shell),
        });
    match done {
        Ok(Exit::Done) if ui::is_output_lost() => {
            Ui::warn(&ui.word("output-lost"));
            Exit::Warnings.into()
        }
        Ok(code) => code.into(),
        Err(failure) => {
            ui.failure(&failure);
            failure.code.into()
        }
    }
}
