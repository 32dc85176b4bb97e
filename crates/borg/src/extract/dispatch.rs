//! What each item comes to at each of its places, for every way of extracting.

use super::ProblemKind;
use super::run::Run;
use super::select::{Action, Content, Selector, Target};
use crate::item::{Item, Kind};

/// What is to be made at a place.
pub(super) enum Work<'a> {
    /// A regular file with this content.
    File(&'a Content),
    /// A directory.
    Directory,
    /// A symbolic link, a pipe, or a device that is wanted.
    Special,
    /// Another name for a file that was made before.
    Link(Link),
}

/// A further name of a file, which must wait until the file is there.
pub(super) struct Link {
    /// As the archive names it.
    pub path: Vec<u8>,
    /// The first name, likewise.
    pub first: Vec<u8>,
    /// Where the file was made.
    pub to: Vec<u8>,
    /// Where this name is to be.
    pub destination: Vec<u8>,
}

/// Tells `take` what is to be made of an item, and where. What cannot be made is a problem of the run.
pub(super) fn dispatch(
    run: &Run<'_>,
    selector: &mut Selector,
    mut item: Item,
    mut take: impl FnMut(&Item, Vec<u8>, Work<'_>),
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
                let (path, first) = (item.path.clone(), item.source.clone().unwrap_or_default());
                let link = Link { path, first, to, destination: destination.clone() };
                take(&item, destination, Work::Link(link));
            }
            (Action::CreateWith(content), _) => take(&item, destination, Work::File(&content)),
            (Action::Create, Kind::File) => take(&item, destination, Work::File(&own)),
            (Action::Create, Kind::Directory) => take(&item, destination, Work::Directory),
            (Action::Create, Kind::CharDevice | Kind::BlockDevice) if !run.options.devices => {
                run.not_made(&destination);
                run.problem(&item.path, Some(&destination), ProblemKind::Device);
            }
            (Action::Create, Kind::Other) => {
                let kind = ProblemKind::Refused { reason: "it is of an unknown type" };
                run.problem(&item.path, Some(&destination), kind);
            }
            (Action::Create, _) => take(&item, destination, Work::Special),
        }
    }
}
