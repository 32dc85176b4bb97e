//! `reprise host`: the machines that restores may go to.

use std::fs;
use std::path::PathBuf;

use inquire::Confirm;
use reprise_host::{Exchange, Host, HostKey, SshHost, make_identity, pin, scan};
use reprise_model::{Message, human_bytes};
use serde::Serialize;

use crate::args::{HostAction, HostArgs};
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::hosts::{self, Declared, Known, Name};
use crate::ui::{Ui, one_line};
use crate::view::table;

/// A host as programs see it. Documented in `docs/json.md`.
#[derive(Serialize)]
struct Shown {
    name: Name,
    address: String,
    identity: Option<PathBuf>,
    public_key: Option<String>,
    host_key: Option<String>,
    fingerprint: Option<String>,
    declared_in: PathBuf,
    added: bool,
}

/// What a login found. Documented in `docs/json.md`.
#[derive(Serialize)]
struct Checked {
    name: Name,
    hostname: String,
    sudo: bool,
    missing: Vec<String>,
    exchange: Option<&'static str>,
    attributes: bool,
    docker_version: Option<String>,
    docker_root: Option<PathBuf>,
    docker_error: Option<String>,
    free_bytes: Option<u64>,
    login_milliseconds: u64,
    ready: bool,
}

/// Runs the action.
pub fn run(args: &HostArgs, env: &Env, ui: &Ui) -> Result<Exit, Failure> {
    match args.action.as_ref().unwrap_or(&HostAction::List) {
        HostAction::List => list(env, ui),
        HostAction::Show { name } => show(&hosts::find(name, env)?, env, ui),
        HostAction::Check { name } => check(&hosts::find(name, env)?, env, ui),
        HostAction::Remove { name } => remove(&hosts::find(name, env)?, args.yes, env, ui),
        HostAction::Add { name, destination, identity, fingerprint } => {
            let known = declared(name, destination.clone(), identity.clone(), env)?;
            add(known, fingerprint.as_deref(), env, ui)
        }
    }
}

fn shown(known: &Known, env: &Env) -> Result<Shown, Failure> {
    let identity = hosts::settings(known, env)?.identity;
    let public = identity.as_ref().map(|identity| identity.with_extension("pub"));
    let key = hosts::pinned(&known.name, env);
    Ok(Shown {
        name: known.name.clone(),
        address: known.declared.address.to_string(),
        public_key: public.and_then(|file| fs::read_to_string(file).ok()).map(|key| key.trim().to_owned()),
        identity,
        host_key: key.as_ref().map(|key| format!("{} {}", key.kind, key.key)),
        fingerprint: key.map(|key| key.fingerprint),
        declared_in: known.file.clone(),
        added: known.added,
    })
}

fn list(env: &Env, ui: &Ui) -> Result<Exit, Failure> {
    let all: Vec<Shown> = hosts::all(env)?.iter().map(|known| shown(known, env)).collect::<Result<_, _>>()?;
    if ui.json {
        Ui::print_json(&all);
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        ui.line(ui.word("hosts-none"));
        return Ok(Exit::Done);
    }
    let headings = ["word-name", "word-address", "word-host-key"].map(|key| ui.word(key));
    let mut rows = table(&headings);
    for host in all {
        let key = host.fingerprint.unwrap_or_else(|| ui.word("host-key-none"));
        rows.add_row([host.name.to_string(), host.address, key]);
    }
    ui.line(rows.to_string());
    Ok(Exit::Done)
}

fn show(known: &Known, env: &Env, ui: &Ui) -> Result<Exit, Failure> {
    let host = shown(known, env)?;
    if ui.json {
        Ui::print_json(&host);
        return Ok(Exit::Done);
    }
    let none = || ui.word("host-key-none");
    let rows = [
        ("word-name", host.name.to_string()),
        ("word-address", host.address),
        ("word-host-key", host.fingerprint.unwrap_or_else(none)),
        ("host-declared-in", one_line(&host.declared_in.display().to_string())),
        (
            "host-identity",
            host.identity
                .map_or_else(|| ui.word("host-identity-any"), |at| one_line(&at.display().to_string())),
        ),
    ];
    for (key, value) in rows {
        ui.line(format!("  {:<18} {value}", ui.word(key)));
    }
    if let Some(public) = host.public_key {
        install(&public, known, ui);
    }
    Ok(Exit::Done)
}

/// Says where our public key goes.
fn install(public: &str, known: &Known, ui: &Ui) {
    let user = &known.declared.address.user;
    ui.line("");
    ui.line(ui.text(&Message::new("host-install-key").text("user", user).text("name", &known.name)));
    ui.line(format!("\n{}\n", one_line(public)));
    if user != "root" {
        ui.line(ui.text(&Message::new("host-sudoers").text("user", user)));
    }
}

/// What `reprise host add` is to make known.
fn declared(
    name: &Name,
    destination: Option<reprise_host::Destination>,
    identity: Option<PathBuf>,
    env: &Env,
) -> Result<Known, Failure> {
    let present = hosts::all(env)?.into_iter().find(|known| known.name == *name);
    let again = || {
        Failure::new(format!("there is a host `{name}` already"))
            .hint(format!("`reprise host show {name}` shows it, `reprise host remove {name}` forgets it"))
    };
    match (present, destination) {
        // Declared in a file: only its key is to be pinned.
        (Some(known), None) if !known.added && hosts::pinned(name, env).is_none() => Ok(known),
        (Some(_), _) => Err(again()),
        (None, Some(address)) => {
            let identity = identity.map(std::path::absolute).transpose()?;
            if let Some(missing) = identity.as_ref().filter(|identity| !identity.exists()) {
                let what = one_line(&missing.display().to_string());
                return Err(Failure::new(format!("there is no key {what}"))
                    .hint("name a private key, or leave --identity out and one is made"));
            }
            let declared = Declared { address, identity, host_key: None };
            let file = hosts::directory(name, env).join("host.toml");
            Ok(Known { name: name.clone(), declared, file, added: true })
        }
        (None, None) => Err(Failure::new(format!("it is not said where `{name}` is"))
            .hint(format!("reprise host add {name} [USER@]ADDRESS[:PORT]"))),
    }
}

fn add(known: Known, fingerprint: Option<&str>, env: &Env, ui: &Ui) -> Result<Exit, Failure> {
    let key = trusted(&known, fingerprint, ui)?;
    let dir = hosts::directory(&known.name, env);
    hosts::make(&dir)?;
    pin(&dir.join("known_hosts"), &known.name.to_string(), &key)?;
    let mut public = None;
    if known.declared.identity.is_none() {
        let comment = format!("reprise@{}", rustix::system::uname().nodename().to_string_lossy());
        public = Some(make_identity(&dir.join("id_ed25519"), &comment)?);
    }
    if known.added {
        let text = toml::to_string(&known.declared).map_err(|error| Failure::new(error.to_string()))?;
        fs::write(&known.file, text)?;
    }
    if ui.json {
        Ui::print_json(&shown(&known, env)?);
    }
    ui.line(ui.text(&Message::new("host-added").text("name", &known.name)));
    if let Some(public) = public {
        install(&public, &known, ui);
    }
    ui.line(ui.text(&Message::new("host-check-next").text("name", &known.name)));
    Ok(Exit::Done)
}

/// The key that the host shows and a person, or a fingerprint, says is its own.
fn trusted(known: &Known, fingerprint: Option<&str>, ui: &Ui) -> Result<HostKey, Failure> {
    let keys = scan(&known.declared.address).map_err(|error| {
        Failure::new(error.to_string()).hint("is the address right, and does an ssh server answer there?")
    })?;
    if let Some(wanted) = fingerprint {
        let prefix = if wanted.starts_with("SHA256:") { "" } else { "SHA256:" };
        let wanted = format!("{prefix}{}", wanted.trim_end_matches('='));
        let shows = keys.iter().map(|key| key.fingerprint.clone()).collect::<Vec<_>>().join(", ");
        return keys.into_iter().find(|key| key.fingerprint == wanted).ok_or_else(|| {
            Failure::new(format!("{} shows other keys than {wanted}: {shows}", known.declared.address))
                .hint("find out which is right before you trust one: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host")
        });
    }
    let key = keys.into_iter().next().ok_or_else(|| Failure::new("the host shows no key"))?;
    let shows = Message::new("host-shows-key").text("address", &known.declared.address);
    Ui::note(&ui.text(&shows.text("kind", &key.kind).text("fingerprint", &key.fingerprint)));
    Ui::note(&ui.word("host-compare-key"));
    if !Ui::can_ask() {
        return Err(Failure::new("a host key is to be trusted, and nobody can be asked").hint(format!(
            "compare it with what the host itself says, then add --fingerprint {}",
            key.fingerprint
        )));
    }
    let agreed = Confirm::new(&ui.word("host-trust-key")).with_default(false).prompt()?;
    if agreed { Ok(key) } else { Err(Failure::cancelled()) }
}

fn remove(known: &Known, yes: bool, env: &Env, ui: &Ui) -> Result<Exit, Failure> {
    let dir = hosts::directory(&known.name, env);
    if !yes {
        if !Ui::can_ask() {
            return Err(Failure::new("this forgets keys, and nobody can be asked").hint("add --yes"));
        }
        let question = Message::new("host-remove-question").text("name", &known.name);
        if !Confirm::new(&ui.text(&question)).with_default(false).prompt()? {
            return Err(Failure::cancelled());
        }
    }
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::new(format!(
                "cannot remove {}: {error}",
                one_line(&dir.display().to_string())
            )));
        }
        _ => {}
    }
    let key = if known.added { "host-removed" } else { "host-unpinned" };
    let file = known.file.display();
    ui.line(ui.text(&Message::new(key).text("name", &known.name).text("file", file)));
    if ui.json {
        Ui::print_json(&serde_json::json!({ "removed": known.name }));
    }
    Ok(Exit::Done)
}

fn check(known: &Known, env: &Env, ui: &Ui) -> Result<Exit, Failure> {
    let began = std::time::Instant::now();
    let host = SshHost::look(hosts::settings(known, env)?)?;
    let login_milliseconds = began.elapsed().as_millis() as u64;
    let facts = host.facts()?;
    let engine = host.docker().engine();
    let root = engine.as_ref().ok().map(|engine| engine.root.clone());
    let free_bytes = root.as_ref().and_then(|root| Some(host.space(root).ok()?.free_bytes));
    let checked = Checked {
        name: known.name.clone(),
        hostname: facts.hostname,
        sudo: known.declared.address.user != "root",
        exchange: facts.exchange.map(Exchange::name),
        attributes: facts.attributes,
        docker_version: engine.as_ref().ok().map(|engine| engine.version.clone()),
        docker_root: root,
        docker_error: engine.err().map(|error| error.to_string()),
        free_bytes,
        login_milliseconds,
        ready: facts.missing.is_empty(),
        missing: facts.missing,
    };
    let exit = match &checked {
        Checked { ready: false, .. } => Exit::Error,
        Checked { docker_error: Some(_), .. }
        | Checked { exchange: None, .. }
        | Checked { attributes: false, .. } => Exit::Warnings,
        _ => Exit::Done,
    };
    if ui.json {
        Ui::print_json(&checked);
        return Ok(exit);
    }
    let login = Message::new("host-check-login")
        .text("hostname", &checked.hostname)
        .count("milliseconds", checked.login_milliseconds);
    ui.line(ui.text(&login));
    ui.line(ui.word(if checked.sudo { "host-check-sudo" } else { "host-check-root" }));
    match checked.missing.as_slice() {
        [] => ui.line(ui.word("host-check-tools")),
        missing => Ui::warn(&ui.text(&Message::new("host-check-missing").text("tools", missing.join(", ")))),
    }
    match checked.exchange {
        Some(way) => ui.line(ui.text(&Message::new("host-check-exchange").text("way", way))),
        None => Ui::warn(&ui.word("host-check-no-exchange")),
    }
    if !checked.attributes {
        Ui::warn(&ui.word("host-check-no-attributes"));
    }
    match (&checked.docker_version, &checked.docker_error) {
        (Some(version), _) => {
            let free = checked.free_bytes.map(human_bytes).unwrap_or_default();
            let root =
                checked.docker_root.as_ref().map(|root| root.display().to_string()).unwrap_or_default();
            let docker = Message::new("host-check-docker").text("version", version).text("root", root);
            ui.line(ui.text(&docker.text("free", free)));
        }
        (None, Some(error)) => Ui::warn(&one_line(error)),
        (None, None) => {}
    }
    Ok(exit)
}
