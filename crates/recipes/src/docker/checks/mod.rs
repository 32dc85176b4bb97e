//! What is to be known, thought of or mended before a restore (DR-7, DR-10).

mod changed;
mod containers;
mod places;

use std::collections::BTreeSet;

use reprise_model::{Destination, Finding, ItemKind, Message, Selection, Severity};

use super::health;
use super::recreate::Remade;
use super::request::Request;
use super::survey::Facts;

/// Everything the checks find, the worst first.
pub(super) fn findings(
    request: &Request<'_>,
    facts: &Facts,
    stopping: &BTreeSet<&str>,
    remade: &Remade,
) -> Vec<Finding> {
    let mut found = request.contents.findings.clone();
    found.extend(request.remarks.iter().cloned());
    found.extend(covered(request.selection));
    found.extend(places::findings(request, facts, !remade.made.is_empty()));
    if request.choice.destination == Destination::InPlace {
        found.extend(containers::findings(facts, stopping));
        found.extend(engine_restart(request.selection));
        found.extend(volumes_without_project(request.selection));
        found.extend(changed::findings(request, facts, stopping, remade));
        found.extend(health::findings(facts, stopping));
        found.extend(remade.findings.iter().cloned());
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn covered(selection: &Selection) -> impl Iterator<Item = Finding> {
    selection.covered.iter().map(|item| {
        let message = Message::new("item-covered").text("item", item.reference());
        Finding::new(Severity::Info, message).about(item.reference())
    })
}

/// The engine reads its configuration when it starts, and is not restarted under running containers.
fn engine_restart(selection: &Selection) -> impl Iterator<Item = Finding> {
    let configs = selection.items.iter().filter(|item| item.kind == ItemKind::Config);
    configs.map(|item| {
        let finding = Finding::new(Severity::Warning, Message::new("engine-not-restarted"));
        finding.about(item.reference())
    })
}

/// Old data under a configuration that may have moved on.
fn volumes_without_project(selection: &Selection) -> impl Iterator<Item = Finding> {
    let chosen = |project: &str| {
        let items = selection.items.iter().chain(&selection.covered);
        items.into_iter().any(|item| item.kind == ItemKind::Project && item.name == project)
    };
    selection.items.iter().filter_map(move |item| {
        let project = item.project.as_deref().filter(|project| !chosen(project))?;
        let message =
            Message::new("volume-without-project").text("volume", &item.name).text("project", project);
        Some(Finding::new(Severity::Warning, message).about(item.reference()))
    })
}
