//! `reprise docker inventory`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reprise_engine::{Clock, SystemClock};
use reprise_host::{LocalHost, SshHost};
use reprise_model::{ItemKind, Message};
use reprise_recipes::docker::{Inventory, Reason, inventory};

use crate::args::InventoryArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::hosts;
use crate::ui::{Ui, one_line};

/// Writes down what this host has of Docker.
pub fn run(args: &InventoryArgs, env: &Env, ui: &Ui) -> Result<Exit, Failure> {
    let found = match &args.host {
        None => {
            let uname = rustix::system::uname();
            inventory(&LocalHost::new(), &uname.nodename().to_string_lossy(), SystemClock.now())?
        }
        Some(name) => {
            let host = SshHost::connect(hosts::settings(&hosts::find(name, env)?, env)?)?;
            inventory(&host, &host.facts()?.hostname, SystemClock.now())?
        }
    };
    match &args.output {
        Some(path) => write(path, &found).map_err(|error| {
            Failure::new(format!("{} cannot be written: {error}", one_line(&path.display().to_string())))
                .hint("name a file in a directory that exists and that you may write to")
        })?,
        None => Ui::print_json(&found),
    }
    summarise(&found, ui);
    Ok(if found.left_out.is_empty() { Exit::Done } else { Exit::Warnings })
}

/// Replaces the file as a whole: a backup that runs meanwhile sees the one or the other. Only its owner may read it, as
/// the environment of containers holds passwords.
fn write(path: &Path, found: &Inventory) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
    serde_json::to_writer_pretty(&mut file, found)?;
    writeln!(file)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn summarise(found: &Inventory, ui: &Ui) {
    let items = |kind| found.actual_backed_up_items.iter().filter(|item| item.kind == kind).count() as u64;
    let summary = Message::new("inventory-summary")
        .count("volumes", items(ItemKind::Volume))
        .count("projects", items(ItemKind::Project))
        .count("containers", found.containers.len() as u64)
        .count("networks", found.networks.len() as u64);
    Ui::note(&ui.text(&summary));
    for left_out in &found.left_out {
        let key = match left_out.reason {
            Reason::Driver => "inventory-left-out-driver",
            Reason::DirectoryMissing => "inventory-left-out-missing",
            Reason::Name => "inventory-left-out-name",
        };
        let item = format!("{}:{}", left_out.kind, one_line(&left_out.name));
        Ui::warn(&ui.text(&Message::new(key).text("item", item)));
    }
}
