//! From facts and a choice to a plan: pure, and the only place that decides what a Docker restore does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reprise_engine::{
    Change, CreateVolume, MakeDir, Place, Plan, Stage, StartContainer, Step, StopContainer, Swap,
};
use reprise_host::Command;
use reprise_model::{Choice, Destination, Item, ItemKind, OperationId};

use super::checks;
use super::estimate::estimate;
use super::health::{self, HealthChoice};
use super::mirror::Put;
use super::order::{awaited_healthy, in_start_order, with_dependents};
use super::recreate;
use super::request::Request;
use super::survey::{Facts, Site};
use super::{adapt, mirror, order, protection, space};

/// How long a finished Docker restore can be rolled back: 8 hours.
const WINDOW_SECONDS: u64 = 8 * 3600;

/// The plan for `request` on the host of `facts`. Blockers among its findings forbid running it.
pub fn plan(request: &Request<'_>, facts: &Facts) -> Plan {
    let remade = recreate::remake(request, facts);
    let users: BTreeSet<&str> = facts
        .containers
        .iter()
        .filter(|container| container.running)
        .filter(|container| facts.sites.iter().any(|site| container.mounts_within(&site.target)))
        .map(|container| container.name.as_str())
        .chain(remade.stopping.iter().map(String::as_str))
        .collect();
    let stopping = with_dependents(users, &facts.containers, &facts.dependencies);
    let mut findings = checks::findings(request, facts, &stopping, &remade);
    let stop = in_start_order(&stopping, &facts.dependencies);
    let mut dependencies = facts.dependencies.clone();
    dependencies.extend(remade.waits.clone());
    let starting: BTreeSet<&str> =
        stopping.iter().copied().chain(remade.starting.iter().map(String::as_str)).collect();
    let start = in_start_order(&starting, &dependencies);
    let puts = mirror::puts(request, facts, !remade.made.is_empty());

    let mut changes = Vec::new();
    changes.extend(directories(facts));
    changes.extend(remade.first);
    let volumes = facts.sites.iter().filter(|site| needs_volume(site, request.choice));
    changes.extend(volumes.map(|site| create_volume(site, facts)));
    for (site, put) in facts.sites.iter().zip(&puts) {
        let (edits, notes) = adapt::edits(site, facts, request.choice.adaptation);
        findings.extend(notes);
        changes.extend(put.store(site));
        changes.extend(put.staged(site, request).map(|into| stage(request, site, into, edits)));
    }
    changes.extend(
        stop.iter().rev().map(|name| Change::StopContainer(StopContainer { container: name.clone() })),
    );
    let back_up = protection::back_up(request, facts, &puts);
    changes.extend(back_up.iter().cloned().map(Change::BackUp));
    let snapshots = protection::snapshots(request, facts, &puts, &stop);
    changes.extend(snapshots.iter().cloned().map(Change::Snapshot));
    changes.extend(facts.sites.iter().zip(&puts).map(|(site, put)| put_in_place(request, site, put, &stop)));
    changes.extend(remade.aside);
    changes.extend(remade.made);
    if request.choice.restart {
        changes.extend(starts(&start, &dependencies, facts, request.health));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let estimated = |change| Step { estimate: estimate(&change, facts.is_here()), change };
    let steps = changes.into_iter().map(estimated).collect();
    Plan {
        id: request.id.clone(),
        created_at: request.now,
        kind: "docker-restore".to_owned(),
        source: request.source.clone(),
        host: facts.host.clone(),
        choice: request.choice.clone(),
        items: request.selection.items.clone(),
        findings,
        steps,
        window_seconds: WINDOW_SECONDS,
        limit_seconds: request.limit_seconds,
        space: space::needs(facts, &puts).iter().map(space::Need::shown).collect(),
        protections: protection::shown(request, facts, &puts, &snapshots, back_up.as_ref()),
        needs: needs(facts),
    }
}

/// What a script checks for before it begins.
fn needs(facts: &Facts) -> Vec<Command> {
    let borg = Command::new("borg").arg("--version");
    let docker = facts.engine.is_some().then(|| Command::new("docker").arg("info"));
    std::iter::once(borg).chain(docker).collect()
}

/// Every directory above a target that is missing, each once, topmost first.
fn directories(facts: &Facts) -> Vec<Change> {
    // The engine makes a volume's own directories.
    let sites = facts.sites.iter().filter(|site| !by_engine(site, facts));
    let missing: BTreeSet<&PathBuf> = sites.flat_map(|site| &site.missing).collect();
    // Volumes lie where only root looks in; a directory full of them must not open them to everyone.
    let of_volumes: BTreeSet<&Path> = facts
        .sites
        .iter()
        .filter(|site| site.item.kind == ItemKind::Volume)
        .filter_map(|site| site.target.parent())
        .collect();
    let mode = |path: &Path| if of_volumes.contains(path) { 0o700 } else { 0o755 };
    missing
        .into_iter()
        .map(|path| Change::MakeDir(MakeDir { mode: mode(path), path: path.clone() }))
        .collect()
}

fn by_engine(site: &Site, facts: &Facts) -> bool {
    site.item.kind == ItemKind::Volume && facts.engine.is_some()
}

fn needs_volume(site: &Site, choice: &Choice) -> bool {
    choice.destination == Destination::InPlace && site.item.kind == ItemKind::Volume && site.volume.is_none()
}

fn create_volume(site: &Site, facts: &Facts) -> Change {
    let Item { name, project, volume_key, .. } = &site.item;
    let spec = recreate::volume_spec(name, project.as_deref(), volume_key.as_deref(), facts);
    Change::CreateVolume(CreateVolume { spec })
}

/// What the container `name` is kept as.
pub(super) fn kept_beside(name: &str, id: &OperationId) -> String {
    format!("{name}.reprise-{id}.old")
}

/// A path beside `target`, on its file system and named after the operation.
pub(super) fn beside(target: &Path, id: &OperationId, role: &str) -> PathBuf {
    let mut name = target.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(format!(".reprise-{id}.{role}"));
    target.with_file_name(name)
}

fn stage(request: &Request<'_>, site: &Site, into: PathBuf, edits: Vec<reprise_engine::Edit>) -> Change {
    let Item { path, bytes, entries, .. } = &site.item;
    let by_hand = by_hand(request, site);
    Change::Stage(Stage { from: path.clone(), into, entries: *entries, bytes: *bytes, edits, by_hand })
}

/// The command that extracts an item in a script.
fn by_hand(request: &Request<'_>, site: &Site) -> Command {
    let archive = format!("{}::{}", request.source.repository, request.source.archive);
    // By number: the users of a container are not those of its host, whatever their names.
    let borg = Command::new("borg").args(["extract", "--numeric-ids"]).arg(archive);
    borg.arg(format!("pp:{}", site.item.path))
}

fn put_in_place(request: &Request<'_>, site: &Site, put: &Put, stopped: &[String]) -> Change {
    if let Some(mirror) = put.mirror(site, request.choice.protect, stopped) {
        return mirror;
    }
    let staged = beside(&site.target, request.id, "new");
    let target = site.target.clone();
    if *put == Put::Swap {
        let kept = beside(&site.target, request.id, "old");
        Change::Swap(Swap { staged, target, kept, users: stopped.to_vec() })
    } else {
        Change::Place(Place { staged, target })
    }
}

/// Starts in order. Who is waited for until healthy is awaited at once, the others when all are started:
/// downtime is no longer than it must be.
fn starts(
    names: &[String],
    dependencies: &order::Dependencies,
    facts: &Facts,
    choice: HealthChoice,
) -> Vec<Change> {
    let health = |name: &String| Change::AwaitHealthy(health::awaited(name, facts, choice));
    let (mut changes, mut later) = (Vec::new(), Vec::new());
    for name in names {
        changes.push(Change::StartContainer(StartContainer { container: name.clone() }));
        if awaited_healthy(name, names, dependencies) {
            changes.push(health(name));
        } else {
            later.push(health(name));
        }
    }
    changes.extend(later);
    changes
}
