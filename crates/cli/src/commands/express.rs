//! Which archive an emergency restores: the newest that is sound (DR-2).

use reprise_borg::{ArchiveEntry, Repository};
use reprise_model::{Finding, Message, Observer, Severity};

use crate::failure::Failure;
use crate::repository::is_put_aside;
use crate::ui::{Ui, one_line};

/// The name of the newest archive that nothing is known to be wrong with, and why newer ones were passed over.
pub fn newest_sound(
    repository: &Repository,
    observer: &dyn Observer,
    ui: &Ui,
) -> Result<(String, Vec<Finding>), Failure> {
    let mut passed = Vec::new();
    // What a restore put aside is no backup: it holds what was to be got rid of.
    for entry in repository.archives().iter().rev().filter(|entry| !is_put_aside(entry)) {
        match unsound(repository, entry, observer)? {
            None => return Ok((entry.name.clone(), passed)),
            Some(message) => {
                passed.push(Finding::new(Severity::Warning, message.text("archive", &entry.name)));
            }
        }
    }
    for finding in &passed {
        Ui::warn(&ui.text(&finding.message));
    }
    let location = one_line(repository.location());
    Err(Failure::new("the repository holds no archive that is sound").hint(format!(
        "`reprise verify {location}` tells how far the damage goes; an archive can still be named"
    )))
}

/// What is wrong with an archive, as far as its metadata tell: whether all content is there too, extracting it tells.
fn unsound(
    repository: &Repository,
    entry: &ArchiveEntry,
    observer: &dyn Observer,
) -> Result<Option<Message>, Failure> {
    if entry.checkpoint {
        return Ok(Some(Message::new("archive-passed-checkpoint")));
    }
    let unreadable = |reason: String| Message::new("archive-passed-unreadable").text("reason", reason);
    let catalogue = match repository.archive(&entry.name).and_then(|it| it.catalogue(None, observer)) {
        Err(reprise_borg::Error::Cancelled) => return Err(Failure::cancelled()),
        Err(error) => return Ok(Some(unreadable(error.to_string()))),
        Ok(catalogue) => catalogue,
    };
    if let Some(error) = catalogue.lost().first() {
        return Ok(Some(unreadable(error.to_string())));
    }
    let damaged = catalogue.in_order().filter(|node| catalogue.entry(*node).damaged).count() as u64;
    Ok((damaged > 0).then(|| Message::new("archive-passed-damaged").count("count", damaged)))
}
