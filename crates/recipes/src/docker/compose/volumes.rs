//! Which Docker volumes a project uses, by their real names.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::interpolate::Interpolated;
use super::types::{ComposeFile, FileFormat, MountKind};

/// A named volume of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectVolume {
    /// Its key in the file.
    pub key: String,
    /// Its name in Docker. Unresolved when `name:` uses variables that are not known.
    pub real_name: Interpolated,
    /// Whether it exists outside the project.
    pub external: bool,
    /// Whether the top-level section declares it. An undeclared one may be declared in another file of the
    /// project.
    pub declared: bool,
    /// The driver, if it is not Docker's own.
    pub driver: Option<Interpolated>,
    /// Whether it has options for its driver: then its data lies where these say.
    pub has_options: bool,
    /// The services that mount it, in the order of the file; none if it is only declared.
    pub services: Vec<String>,
}

/// The named volumes that a file declares or uses, declared ones first, each group in the order of the file.
/// `project` is the name of the project.
pub fn project_volumes(compose: &ComposeFile, project: &str) -> Vec<ProjectVolume> {
    let mut volumes: Vec<ProjectVolume> = compose
        .volumes
        .iter()
        .map(|(key, volume)| ProjectVolume {
            key: key.clone(),
            real_name: real_name(compose, project, key),
            external: volume.external,
            declared: true,
            driver: volume.driver.clone().filter(|driver| driver.known() != Some("local")),
            has_options: !volume.driver_opts.is_empty(),
            services: Vec::new(),
        })
        .collect();
    let mut places: HashMap<String, usize> =
        volumes.iter().enumerate().map(|(place, volume)| (volume.key.clone(), place)).collect();
    for name in compose.services.keys() {
        for mount in compose.lineage(name).into_iter().flat_map(|service| &service.volumes) {
            let Some(key) = mount.source.as_ref().and_then(Interpolated::known) else { continue };
            if mount.kind != MountKind::Volume {
                continue;
            }
            let place = *places.entry(key.to_owned()).or_insert_with(|| {
                volumes.push(ProjectVolume {
                    key: key.to_owned(),
                    real_name: real_name(compose, project, key),
                    external: false,
                    declared: false,
                    driver: None,
                    has_options: false,
                    services: Vec::new(),
                });
                volumes.len() - 1
            });
            if volumes[place].services.last() != Some(name) {
                volumes[place].services.push(name.clone());
            }
        }
    }
    volumes
}

/// The name Docker knows a volume by: its `name:` (or that of the old `external: {name: …}`), the key itself if it is
/// external or the file is of the legacy format, else `<project>_<key>`.
pub(super) fn real_name(compose: &ComposeFile, project: &str, key: &str) -> Interpolated {
    match compose.volumes.get(key) {
        Some(volume) => match &volume.name {
            Some(name) => name.clone(),
            None if volume.external => Interpolated::literal(key),
            None => Interpolated::literal(format!("{project}_{key}")),
        },
        None if compose.format == FileFormat::Legacy => Interpolated::literal(key),
        None => Interpolated::literal(format!("{project}_{key}")),
    }
}
