//! Reading and verifying all that an extraction would take, without putting it anywhere.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reprise_model::Observer;

use super::pool::Arriving;
use super::run::{Run, drive};
use super::select::{Action, Content, Selector, Target};
use super::window::Window;
use super::{Extraction, ProblemKind, Report, known_problems};
use crate::Error;
use crate::archive::Archive;
use crate::item::{Item, Kind};

/// Reads what an extraction would. See [`Archive::check`].
pub(crate) fn to_nowhere(
    archive: &Archive<'_>,
    extraction: &Extraction,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let mut selector = Selector::new(extraction)?;
    let run = Run::new(archive.repository, &extraction.options, observer);
    let mut links = Vec::new();
    drive(archive, &run, &run, |window, item| place(&run, &mut selector, window, &mut links, item));
    // Only now is it known of every file whether it is whole.
    for Link { path, first, to, destination } in links {
        if run.was_made(&to) {
            run.count();
        } else {
            run.problem(&path, Some(&destination), ProblemKind::HardLink { target: first });
        }
    }
    let mut report = run.into_result()?;
    report.unmatched = selector.unmatched();
    Ok(report)
}

/// A further name of a file.
struct Link {
    path: Vec<u8>,
    first: Vec<u8>,
    to: Vec<u8>,
    destination: Vec<u8>,
}

fn place(
    run: &Run<'_>,
    selector: &mut Selector,
    window: &mut Window<'_, Checked>,
    links: &mut Vec<Link>,
    mut item: Item,
) {
    let targets = selector.targets(&item);
    if targets.is_empty() {
        return;
    }
    run.observer.item(&item.path);
    let own = Content {
        chunks: item.chunks.take().unwrap_or_default(),
        healthy: std::mem::take(&mut item.chunks_healthy),
    };
    for target in targets {
        let Target { destination, action } = match target {
            Ok(target) => target,
            Err((destination, kind)) => {
                run.problem(&item.path, destination.as_deref(), kind);
                continue;
            }
        };
        match (action, item.kind()) {
            (Action::Link(to), _) => {
                let first = item.source.clone().unwrap_or_default();
                links.push(Link { path: item.path.clone(), first, to, destination });
            }
            (Action::CreateWith(content), _) => file(run, window, &item, destination, &content),
            (Action::Create, Kind::File) => file(run, window, &item, destination, &own),
            (Action::Create, Kind::CharDevice | Kind::BlockDevice) if !run.options.devices => {
                run.not_made(&destination);
                run.problem(&item.path, Some(&destination), ProblemKind::Device);
            }
            (Action::Create, Kind::Other) => {
                let kind = ProblemKind::Refused { reason: "it is of an unknown type" };
                run.problem(&item.path, Some(&destination), kind);
            }
            (Action::Create, _) => run.count(),
        }
    }
}

fn file(
    run: &Run<'_>,
    window: &mut Window<'_, Checked>,
    item: &Item,
    destination: Vec<u8>,
    content: &Content,
) {
    let problems = known_problems(item, &content.chunks, &content.healthy);
    let damaged = !problems.is_empty();
    for kind in problems {
        run.problem(&item.path, Some(&destination), kind);
    }
    // Unlike in an extraction, the rest of a file with known damage is read as well: it may have more.
    let file = Checked {
        path: item.path.clone(),
        destination,
        missing: AtomicUsize::new(content.chunks.len()),
        damaged: AtomicBool::new(damaged),
    };
    window.add(&Arc::new(file), &content.chunks);
}

/// A file whose content is read and dropped.
struct Checked {
    path: Vec<u8>,
    destination: Vec<u8>,
    /// Pieces still to come.
    missing: AtomicUsize,
    damaged: AtomicBool,
}

impl Checked {
    fn arrived(&self, run: &Run<'_>) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish(run);
        }
    }
}

impl Arriving<Run<'_>> for Checked {
    fn write(&self, run: &Run<'_>, _offset: u64, data: &[u8], _zeros: bool) {
        run.took(data.len() as u64);
        self.arrived(run);
    }

    fn lose(&self, run: &Run<'_>, range: Range<u64>, cause: &Arc<Error>) {
        self.damaged.store(true, Ordering::Relaxed);
        let kind = ProblemKind::Content { range, cause: Arc::clone(cause) };
        run.problem(&self.path, Some(&self.destination), kind);
        self.arrived(run);
    }

    fn finish(&self, run: &Run<'_>) {
        if self.damaged.load(Ordering::Relaxed) && !run.options.keep_damaged {
            run.not_made(&self.destination);
        } else {
            run.count();
        }
    }
}
