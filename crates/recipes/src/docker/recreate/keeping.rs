//! When the containers of a project are better left as they are: where what is made anew would not be what was there, or a
//! rollback could not bring it back.

use std::collections::BTreeSet;

use reprise_host::Container;
use reprise_model::{Finding, Message, Severity};

use super::super::compose::{Variables, interpolate};
use super::super::survey::Facts;
use super::project::{Project, State};

/// What speaks against having the containers of `project` made.
pub(super) fn against(project: &Project, facts: &Facts) -> Vec<Finding> {
    let about = |key: &'static str| Message::new(key).text("project", &project.item);
    let mut found = Vec::new();
    if !project.unknown_variables.is_empty() {
        let names: Vec<&str> = project.unknown_variables.iter().map(String::as_str).collect();
        found.push(about("variables-unknown").text("variables", names.join(", ")));
    }
    let named: Vec<&Container> =
        facts.containers.iter().filter(|it| project.services.contains_key(&it.name)).collect();
    let is_foreign = |it: &&&Container| it.project() != Some(project.compose.name.as_str());
    found.extend(named.iter().filter(is_foreign).map(|it| about("name-taken").text("container", &it.name)));
    if matches!(project.state, State::Changed(_)) {
        for container in &named {
            let of = |key| about(key).text("container", &container.name);
            if container.mounts.iter().any(|mount| mount.volume.as_deref().is_some_and(is_anonymous)) {
                found.push(of("volume-anonymous"));
            }
            // It knows the other one by its id, which changes.
            let joined = facts.containers.iter().filter(|other| joins(other, container));
            found.extend(joined.map(|other| of("container-joined").text("other", &other.name)));
        }
    }
    found.into_iter().map(|message| Finding::new(Severity::Warning, message)).collect()
}

/// Whether `one` shares the network or another namespace of `other`.
fn joins(one: &Container, other: &Container) -> bool {
    one.joins.iter().any(|joined| *joined == other.id || *joined == other.name)
}

/// Whether Docker has made up that name of a volume.
pub(super) fn is_anonymous(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The variables in compose files that are neither in `.env` nor have a default: whoever started the project had them in the
/// environment, and Compose would take nothing for them. Lines that are comments do not count.
pub(super) fn unknown_variables<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    variables: &Variables,
) -> BTreeSet<String> {
    let lines = texts.into_iter().flat_map(str::lines).filter(|line| !line.trim_start().starts_with('#'));
    let unresolved = lines.flat_map(|line| interpolate(line, variables).unresolved().to_vec());
    // What is no name is for Compose to complain about.
    let is_name = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    unresolved.filter(is_name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_unknown_that_have_no_value_and_no_default() {
        let file = "# ${COMMENTED}\nservices:\n  a:\n    image: x:${TAG:-1}\n    environment:\n      A: $SECRET\n      \
                    B: ${OTHER}\n      C: $$PRICE ${KNOWN}\n";
        let known = [("KNOWN", "1")].into_iter().collect();
        let unknown = unknown_variables([file], &known);
        assert_eq!(unknown, ["OTHER".to_owned(), "SECRET".to_owned()].into());
    }
}
