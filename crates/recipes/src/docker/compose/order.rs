//! What services wait for, and in which order they start.
//!
//! The order is that of a plain graph (name -> what it waits for), made from compose files
//! ([`ComposeFile::waits_for`]) or from the labels of containers ([`parse_depends_on_label`]).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

use super::types::{ComposeFile, Condition, Dependency};

/// The order of services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Every service of the graph, dependencies first, otherwise in the order of the graph.
    pub start: Vec<String>,
    /// The circles that had to be cut to get an order; empty when all is well.
    pub cycles: Vec<Vec<String>>,
    /// Dependencies that are not in the graph: service and what it asks for. They do not affect the order.
    pub missing: Vec<(String, String)>,
}

impl ComposeFile {
    /// What a service waits for: `depends_on`, and what it cannot run without (links, `volumes_from`, joined
    /// namespaces), also what it takes over with `extends` from this file.
    pub fn waits_for(&self, service: &str) -> Vec<Dependency> {
        let started = |service: &String| Dependency {
            service: service.clone(),
            condition: Condition::ServiceStarted,
            required: true,
        };
        let lineage = self.lineage(service);
        let explicit = lineage.iter().flat_map(|service| service.depends_on.iter().cloned());
        let implied = lineage.iter().flat_map(|service| {
            service.links.iter().chain(&service.volumes_from).chain(&service.joins).map(started)
        });
        explicit.chain(implied).collect()
    }
}

/// Sorts a graph so that what others depend on comes first; services that are free to go come in the order
/// of the graph. A circle is cut at its first service, so that an order comes out in any case.
pub fn start_order(graph: &IndexMap<String, Vec<String>>) -> Order {
    let mut order = Order::default();
    // What waits for each service, and how many each still waits for.
    let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(graph.len());
    for (index, (service, dependencies)) in graph.iter().enumerate() {
        let mut known = IndexSet::new();
        for dependency in dependencies {
            match graph.get_index_of(dependency) {
                Some(needed) => {
                    known.insert(needed);
                }
                None => order.missing.push((service.clone(), dependency.clone())),
            }
        }
        for &needed in &known {
            dependents.entry(needed).or_default().push(index);
        }
        needs.push(known.into_iter().collect());
    }
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut placed = vec![false; graph.len()];
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..graph.len()).filter(|&index| waiting[index] == 0).map(Reverse).collect();
    let mut circles = Circles::new(&needs);
    let name = |index: usize| graph.get_index(index).map(|(name, _)| name.clone()).unwrap_or_default();

    while order.start.len() < graph.len() {
        let Some(Reverse(index)) = ready.pop() else {
            let circle = circles.next(&placed);
            let Some(cut) = circle.iter().copied().min() else { break };
            order.cycles.push(circle.into_iter().map(name).collect());
            ready.push(Reverse(cut));
            continue;
        };
        if std::mem::replace(&mut placed[index], true) {
            continue;
        }
        order.start.push(name(index));
        for &dependent in dependents.get(&index).into_iter().flatten() {
            waiting[dependent] = waiting[dependent].saturating_sub(1);
            if waiting[dependent] == 0 && !placed[dependent] {
                ready.push(Reverse(dependent));
            }
        }
    }
    order
}

/// Finds circles one after the other, each time going on from where the last one was entered: going back to the beginning
/// would take the square of the time.
struct Circles<'g> {
    needs: &'g [Vec<usize>],
    /// The services followed so far, each needing the next.
    path: Vec<usize>,
    /// Where in the path each service is, if it is.
    position: Vec<Option<usize>>,
    /// For each service, how many of its needs were found to be placed.
    passed: Vec<usize>,
    /// No service before this one is unplaced.
    first: usize,
}

impl<'g> Circles<'g> {
    fn new(needs: &'g [Vec<usize>]) -> Self {
        let (position, passed) = (vec![None; needs.len()], vec![0; needs.len()]);
        Self { needs, path: Vec::new(), position, passed, first: 0 }
    }

    /// Follows unplaced dependencies until one comes round again: every unplaced service has one when none is free to go.
    /// Empty when all are placed.
    fn next(&mut self, placed: &[bool]) -> Vec<usize> {
        loop {
            let Some(&at) = self.path.last() else {
                while self.first < placed.len() && placed[self.first] {
                    self.first += 1;
                }
                if self.first == placed.len() {
                    return Vec::new();
                }
                self.follow(self.first);
                continue;
            };
            if placed[at] {
                self.path.pop();
                self.position[at] = None;
                continue;
            }
            let passed = &mut self.passed[at];
            while self.needs[at].get(*passed).is_some_and(|&need| placed[need]) {
                *passed += 1;
            }
            let from = match self.needs[at].get(*passed) {
                Some(&next) => match self.position[next] {
                    None => {
                        self.follow(next);
                        continue;
                    }
                    Some(position) => position,
                },
                None => self.path.len() - 1,
            };
            let circle = self.path.split_off(from);
            for &service in &circle {
                self.position[service] = None;
            }
            return circle;
        }
    }

    fn follow(&mut self, service: usize) {
        self.position[service] = Some(self.path.len());
        self.path.push(service);
    }
}

/// Reads the label `com.docker.compose.depends_on` of a container: `db:service_healthy:false,cache`, where the
/// last part says whether a restart of the dependency restarts this one.
pub fn parse_depends_on_label(label: &str) -> Vec<Dependency> {
    label
        .split(',')
        .filter_map(|entry| {
            let mut parts = entry.trim().split(':');
            let service = parts.next().filter(|service| !service.is_empty())?.to_owned();
            let condition = parts.next().map_or_else(Condition::default, Condition::parse);
            Some(Dependency { service, condition, required: true })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(edges: &[(&str, &[&str])]) -> Order {
        let graph: IndexMap<String, Vec<String>> = edges
            .iter()
            .map(|(name, needs)| ((*name).to_owned(), needs.iter().map(ToString::to_string).collect()))
            .collect();
        start_order(&graph)
    }

    #[test]
    fn dependencies_come_first_and_the_rest_keeps_its_order() {
        let order = order(&[
            ("web", &["api"]),
            ("metrics", &[]),
            ("api", &["db", "cache", "db"]),
            ("cache", &[]),
            ("db", &[]),
        ]);
        assert_eq!(order.start, ["metrics", "cache", "db", "api", "web"]);
        assert_eq!(order.cycles, Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_circle_is_reported_and_cut() {
        let order =
            order(&[("late", &["a"]), ("b", &["a"]), ("a", &["b"]), ("free", &[]), ("own", &["own"])]);
        assert_eq!(order.start, ["free", "b", "a", "late", "own"]);
        assert_eq!(order.cycles, [vec!["a".to_owned(), "b".into()], vec!["own".into()]]);
    }

    #[test]
    fn unknown_dependencies_are_listed() {
        let order = order(&[("web", &["gone"])]);
        assert_eq!(order.start, ["web"]);
        assert_eq!(order.missing, [("web".to_owned(), "gone".to_owned())]);
    }

    #[test]
    fn labels_are_read() {
        let label = "db:service_healthy:false,cache:service_started:true,job:service_completed_successfully";
        let shown: Vec<_> =
            parse_depends_on_label(label).into_iter().map(|d| (d.service, d.condition)).collect();
        assert_eq!(
            shown,
            [
                ("db".to_owned(), Condition::ServiceHealthy),
                ("cache".to_owned(), Condition::ServiceStarted),
                ("job".to_owned(), Condition::ServiceCompletedSuccessfully)
            ]
        );
        assert_eq!(parse_depends_on_label(""), []);
    }
}
