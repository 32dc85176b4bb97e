//! Tests over whole files. Those of single rules stand beside the rules.

mod adapting;
mod hostile;
mod property;
mod reading;
mod sharing;

use super::{
    Adaptation, Adapted, ComposeError, ComposeFile, Order, Relocation, adapt, start_order, unified_diff,
};

/// The order in which the services of a file start.
fn order_of(file: &ComposeFile) -> Order {
    let waits = |name: &String| file.waits_for(name).into_iter().map(|wait| wait.service).collect();
    start_order(&file.services.keys().map(|name| (name.clone(), waits(name))).collect())
}

/// A relocation of `/opt/shop` to `/opt/restore/compose/shop`, with two volumes and a path restored.
fn relocation() -> Relocation {
    let restored = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    };
    Relocation {
        from_project_dir: "/opt/shop".into(),
        to_project_dir: "/opt/restore/compose/shop".into(),
        volumes: restored(&[
            ("shop_data", "/opt/restore/volumes/shop_data"),
            ("legacy-pg", "/opt/restore/volumes/legacy-pg"),
        ]),
        paths: restored(&[
            ("/srv/media", "/opt/restore/configs/srv/media"),
            ("/opt/shop/uploads", "/opt/restore/configs/uploads"),
        ]),
        ..Relocation::default()
    }
}

fn auto(text: &str, relocation: &Relocation) -> Result<Adapted, ComposeError> {
    adapt("docker-compose.yml", text, Adaptation::AutoModify, relocation)
}

/// The changed lines of an adaptation, as in a diff without context.
fn changed(text: &str) -> String {
    let adapted = auto(text, &relocation()).unwrap();
    let diff = unified_diff("docker-compose.yml", text, adapted.text());
    diff.lines()
        .filter(|line| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The notes of an adaptation, one a line.
fn notes(text: &str) -> String {
    let notes = auto(text, &relocation()).unwrap().notes;
    notes.iter().map(|note| serde_json::to_string(note).unwrap()).collect::<Vec<_>>().join("\n")
}
