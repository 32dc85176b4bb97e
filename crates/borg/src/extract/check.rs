//! Reading and verifying all that an extraction would take, without putting it anywhere.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reprise_model::Observer;

use super::dispatch::{Link, Work, dispatch};
use super::pool::Arriving;
use super::run::{Run, drive};
use super::select::{Content, Selector};
use super::window::Window;
use super::{Extraction, ProblemKind, Report, known_problems};
use crate::Error;
use crate::archive::Archive;
use crate::item::Item;

/// Reads what an extraction would. See [`Archive::check`].
pub(crate) fn to_nowhere(
    archive: &Archive<'_>,
    extraction: &Extraction,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let mut selector = Selector::new(extraction)?;
    let run = Run::new(archive.repository, &extraction.options, observer);
    let mut links = Vec::new();
    drive(archive, &run, &run, |window, item| {
        dispatch(&run, &mut selector, item, |item, destination, work| match work {
            Work::File(content) => file(&run, window, item, destination, content),
            Work::Directory | Work::Special => run.count(),
            Work::Link(link) => links.push(link),
        });
    });
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

    fn finish(&self, run: &Run<'_>) {
        if self.damaged.load(Ordering::Relaxed) && !run.options.keep_damaged {
            run.not_made(&self.destination);
        } else {
            run.count();
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

    fn without_chunks(files: Vec<Arc<Self>>, run: &Run<'_>) {
        for file in files {
            file.finish(run);
        }
    }
}
