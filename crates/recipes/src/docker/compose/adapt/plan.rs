//! Decides which values of a file should become what, without regard to where they are written.
//!
//! The walk goes over the file as Compose sees it, aliases followed and merges applied, and leaves a [`Wish`] for
//! every value that should change.

use std::collections::{BTreeSet, HashMap};

use super::super::dotenv::Variables;
use super::super::error::ComposeError;
use super::super::interpolate::{Interpolated, escape, interpolate};
use super::super::mount::{ShortMount, source_kind};
use super::super::paths::{absolute, below, join};
use super::super::read::sections;
use super::super::types::{ComposeFile, MountKind};
use super::super::volumes::real_name;
use super::super::yaml::{NodeId, Tree};
use super::Relocation;
use super::notes::AdaptNote;
use super::splice::Replacement;

/// A value that should change, at the place where it is used: `site` may be an alias.
#[derive(Debug)]
pub(super) struct Wish {
    pub site: NodeId,
    pub to: Replacement,
}

/// What should change.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub wishes: Vec<Wish>,
    pub notes: Vec<AdaptNote>,
    /// Keys of volumes whose data was restored: what mounts them becomes a bind mount.
    pub replaced_volumes: BTreeSet<String>,
    /// Keys of volumes that are bound to a path (`driver_opts.device`) which was restored.
    pub moved_devices: BTreeSet<String>,
}

/// Walks over the file. `project` is the original project's name.
pub(super) fn plan(
    tree: &Tree,
    compose: &ComposeFile,
    variables: &Variables,
    relocation: &Relocation,
    project: &str,
) -> Result<Plan, ComposeError> {
    let keys = compose.volumes.keys();
    let real_names = keys
        .filter_map(|key| real_name(compose, project, key).known().map(|name| (name.to_owned(), key.clone())))
        .collect();
    let plan = Plan::default();
    let mut planner = Planner { tree, compose, variables, relocation, project, real_names, plan };
    for (name, id) in sections(tree, "services")? {
        planner.service(name, id);
    }
    for (key, id) in sections(tree, "volumes")? {
        planner.volume(key, id);
    }
    for section in ["configs", "secrets"] {
        for (key, id) in sections(tree, section)? {
            planner.path_field(&format!("{section}.{key}.file"), id, "file");
        }
    }
    planner.includes();
    Ok(planner.plan)
}

struct Planner<'a> {
    tree: &'a Tree,
    compose: &'a ComposeFile,
    variables: &'a Variables,
    relocation: &'a Relocation,
    project: &'a str,
    /// The declared volumes' keys by their real names.
    real_names: HashMap<String, String>,
    plan: Plan,
}

impl Planner<'_> {
    fn service(&mut self, name: &str, id: NodeId) {
        for entry in self.tree.entries(id) {
            let (key, value) = (entry.key, entry.value);
            let place = format!("services.{name}.{key}");
            match key {
                "volumes" => {
                    for &mount in self.tree.items(value) {
                        self.mount(&place, mount);
                    }
                }
                "env_file" | "label_file" => self.path_or_list(&place, value),
                "build" if self.tree.is_mapping(value) => self.path_field(&place, value, "context"),
                "build" => self.path(&place, value),
                "extends" => {
                    if let Some(file) = self.tree.field(value, "file") {
                        self.other_file(file);
                        self.path(&place, file);
                    }
                }
                _ => {}
            }
        }
    }

    fn mount(&mut self, place: &str, id: NodeId) {
        if let Some(raw) = self.tree.scalar(id) {
            let Some(short) = ShortMount::parse(raw, self.variables) else { return };
            let Some(source) = &short.source else { return };
            let (new, options) = match short.kind() {
                MountKind::Bind => (self.moved(place, source, short.read_only()), short.options.clone()),
                MountKind::Volume => {
                    (self.restored_volume(place, source), without_nocopy(short.options.as_ref()))
                }
                _ => return self.unresolved(place, source),
            };
            if let Some(new) = new {
                let to = short_mount(&new, &short.target, options.as_ref());
                self.plan.wishes.push(Wish { site: id, to });
            }
            return;
        }
        let tree = self.tree;
        let Some(site) = tree.field(id, "source").or_else(|| tree.field(id, "src")) else { return };
        let Some(source) = self.text(site) else { return };
        let kind = tree.field(id, "type");
        let read_only = tree.field(id, "read_only").and_then(|id| tree.scalar(id)) == Some("true");
        match kind.map(|id| tree.scalar(id).unwrap_or_default()) {
            Some("bind") => self.move_site(place, site, &source, read_only),
            // Without a type Compose refuses the entry; a path is moved all the same.
            None if source_kind(&source) == MountKind::Bind => {
                self.move_site(place, site, &source, read_only);
            }
            Some("volume") => {
                let Some(mut new) = self.restored_volume(place, &source) else { return };
                if let Some(subpath) = tree.field(id, "volume").and_then(|v| tree.field(v, "subpath")) {
                    let Some(subpath) = self.text(subpath) else { return };
                    match subpath.known() {
                        Some(subpath) => new = join(&new, subpath),
                        None => return self.unresolved(place, &subpath),
                    }
                }
                self.wish(site, &new);
                if let Some(kind) = kind {
                    self.wish(kind, "bind");
                }
            }
            _ => {}
        }
    }

    /// A volume that is a path in disguise (`driver_opts: {o: bind, device: /path}`) moves with the path.
    fn volume(&mut self, key: &str, id: NodeId) {
        let Some(options) = self.tree.field(id, "driver_opts") else { return };
        let Some(device) = self.tree.field(options, "device") else { return };
        let mode = self.tree.field(options, "o").and_then(|id| self.text(id));
        let binds = |mode: &Interpolated| mode.text().split(',').any(|o| matches!(o, "bind" | "rbind"));
        if !mode.as_ref().is_some_and(binds) {
            return;
        }
        let before = self.plan.wishes.len();
        // Also where the data itself was restored and nothing mounts it any more: Compose makes it all the same.
        self.path(&format!("volumes.{key}.driver_opts.device"), device);
        if self.plan.wishes.len() > before && self.restored(key).is_none() {
            self.plan.moved_devices.insert(key.to_owned());
        }
    }

    fn includes(&mut self) {
        let Some(includes) = self.tree.field(self.tree.root, "include") else { return };
        for &include in self.tree.items(includes) {
            let paths = self.tree.field(include, "path").unwrap_or(include);
            let all =
                if self.tree.scalar(paths).is_some() { vec![paths] } else { self.tree.items(paths).to_vec() };
            for path in all {
                self.other_file(path);
                self.path("include", path);
            }
            for key in ["project_directory", "env_file"] {
                if let Some(id) = self.tree.field(include, key) {
                    self.path_or_list("include", id);
                }
            }
        }
    }

    fn other_file(&mut self, id: NodeId) {
        let Some(path) = self.text(id) else { return };
        if let Some(path) = path.known().filter(|path| !is_remote(path)) {
            let path = absolute(&self.relocation.from_project_dir, path);
            self.note(AdaptNote::OtherComposeFile { path });
        }
    }

    fn path_field(&mut self, place: &str, id: NodeId, key: &str) {
        if let Some(id) = self.tree.field(id, key) {
            self.path(place, id);
        }
    }

    /// A path, a list of paths, or a list of mappings with a `path`.
    fn path_or_list(&mut self, place: &str, id: NodeId) {
        self.path(place, id);
        for &item in self.tree.items(id) {
            self.path(place, item);
            self.path_field(place, item, "path");
        }
    }

    fn path(&mut self, place: &str, site: NodeId) {
        if let Some(path) = self.text(site) {
            self.move_site(place, site, &path, true);
        }
    }

    fn move_site(&mut self, place: &str, site: NodeId, path: &Interpolated, read_only: bool) {
        if let Some(new) = self.moved(place, path, read_only) {
            self.wish(site, &new);
        }
    }

    /// Where a path of the host is now; nothing when the value can stay, with a note if that matters.
    fn moved(&mut self, place: &str, path: &Interpolated, read_only: bool) -> Option<String> {
        let Some(known) = path.known() else {
            self.unresolved(place, path);
            return None;
        };
        if known.is_empty() || is_remote(known) {
            return None;
        }
        let place = place.to_owned();
        if known.starts_with('~') {
            // The home directory of whoever starts it; not known here.
            self.note(AdaptNote::HostPathKept { place, path: known.to_owned(), read_only });
            return None;
        }
        let relative = !known.starts_with('/');
        let original = absolute(&self.relocation.from_project_dir, known);
        match self.relocated(&original) {
            // What it means at the new place is what it should mean: it moves along.
            Some(new) if absolute(&self.relocation.to_project_dir, known) == new => None,
            Some(new) => Some(new),
            None if relative => {
                let path = known.to_owned();
                self.note(AdaptNote::RelativePathOutsideProject { place, path, original });
                None
            }
            None => {
                self.note(AdaptNote::HostPathKept { place, path: original, read_only });
                None
            }
        }
    }

    /// Applies the longest rule that fits. At equal length the explicit path wins over the project directory.
    fn relocated(&self, path: &str) -> Option<String> {
        let project = (&self.relocation.from_project_dir, &self.relocation.to_project_dir);
        let rules = std::iter::once(project).chain(&self.relocation.paths);
        rules
            .filter_map(|(from, to)| below(from, path).map(|rest| (from.len(), to, rest)))
            .max_by_key(|&(length, _, _)| length)
            .map(|(_, to, rest)| join(to, rest))
    }

    /// The restored data of the volume a mount names, and a record that this volume is replaced.
    fn restored_volume(&mut self, place: &str, key: &Interpolated) -> Option<String> {
        let Some(known) = key.known() else {
            self.unresolved(place, key);
            return None;
        };
        let new = self.restored(known)?;
        self.plan.replaced_volumes.insert(known.to_owned());
        Some(new)
    }

    /// Where the data of a volume was restored to: found by its real name, else by its key, unless that is the
    /// real name of another volume.
    fn restored(&self, key: &str) -> Option<String> {
        let volumes = &self.relocation.volumes;
        let name = real_name(self.compose, self.project, key);
        if let Some(to) = name.known().and_then(|name| volumes.get(name)) {
            return Some(to.clone());
        }
        let taken = self.real_names.get(key).is_some_and(|other| other != key);
        volumes.get(key).filter(|_| !taken).cloned()
    }

    fn text(&self, id: NodeId) -> Option<Interpolated> {
        self.tree.scalar(id).map(|text| interpolate(text, self.variables))
    }

    fn unresolved(&mut self, place: &str, value: &Interpolated) {
        self.note(AdaptNote::UnresolvedVariable {
            place: place.to_owned(),
            text: value.raw().to_owned(),
            variables: value.unresolved().to_vec(),
        });
    }

    fn wish(&mut self, site: NodeId, text: &str) {
        self.plan.wishes.push(Wish { site, to: Replacement::Text(escape(text)) });
    }

    fn note(&mut self, note: AdaptNote) {
        self.plan.notes.push(note);
    }
}

/// Addresses that stand where a path may stand: build contexts and included files in repositories.
fn is_remote(path: &str) -> bool {
    path.contains("://") || path.starts_with("git@") || path.starts_with("github.com/")
}

/// `nocopy` is about filling a new volume from the image and means nothing for a bind mount.
fn without_nocopy(options: Option<&Interpolated>) -> Option<Interpolated> {
    let options = options?;
    let kept: Vec<&str> = options.raw().split(',').filter(|&option| option != "nocopy").collect();
    (!kept.is_empty()).then(|| interpolate(&kept.join(","), &Variables::default()))
}

/// A mount of a path: in the short form, unless the path holds what that form would take apart.
fn short_mount(source: &str, target: &Interpolated, options: Option<&Interpolated>) -> Replacement {
    if !source.contains(':') && !source.contains("${") {
        let mut text = format!("{}:{}", escape(source), target.raw());
        if let Some(options) = options {
            text.push(':');
            text.push_str(options.raw());
        }
        return Replacement::Text(text);
    }
    let text = |text: &str| Replacement::Text(text.to_owned());
    let mut fields =
        vec![("type", text("bind")), ("source", text(&escape(source))), ("target", text(target.raw()))];
    let mut bind = Vec::new();
    for option in options.map(Interpolated::raw).into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => fields.push(("read_only", Replacement::True)),
            "z" | "Z" => bind.push(("selinux", text(option))),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                bind.push(("propagation", text(option)));
            }
            "cached" | "delegated" | "consistent" => fields.push(("consistency", text(option))),
            // `rw` is the default; Compose passes over what it does not know.
            _ => {}
        }
    }
    if !bind.is_empty() {
        fields.push(("bind", Replacement::Mapping(bind)));
    }
    Replacement::Mapping(fields)
}
