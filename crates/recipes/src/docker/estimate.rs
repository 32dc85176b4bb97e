//! What steps are expected to cost. Rough on purpose: shown so that nobody waits in the dark.

use reprise_engine::{Change, Estimate, Snapshot, SnapshotKind, Way};

/// Bytes extracted in a millisecond: a slow disk, or two busy cores.
const BYTES_PER_MILLI: u64 = 150_000;
/// Bytes read and compared in a millisecond.
const COMPARED_PER_MILLI: u64 = 800_000;
/// The same where another machine reads what is there, and this one the archive.
const COMPARED_THERE_PER_MILLI: u64 = 250_000;
/// Files made in a millisecond.
const ENTRIES_PER_MILLI: u64 = 2;

/// What `change` is expected to cost on this machine, or elsewhere.
pub(super) fn estimate(change: &Change, is_here: bool) -> Estimate {
    let compared_per_milli = if is_here { COMPARED_PER_MILLI } else { COMPARED_THERE_PER_MILLI };
    let millis = match change {
        Change::Stage(stage) => copied(stage.bytes, stage.entries),
        Change::StopContainer(_) => 1500,
        Change::StartContainer(_) => 700,
        Change::AwaitHealthy(_) => 4000,
        Change::CreateVolume(_) | Change::CreateNetwork(_) => 100,
        Change::CreateContainer(_) | Change::SetAside(_) => 500,
        Change::ComposeCreate(compose) => 1500 + 500 * compose.project.containers.len() as u64,
        Change::Mirror(mirror) if mirror.way == Way::Fill => copied(mirror.bytes, mirror.entries),
        Change::Mirror(mirror) if mirror.way.is_staged() => 50,
        Change::Mirror(mirror) => 50 + mirror.bytes / compared_per_milli + mirror.entries / 20,
        Change::Snapshot(Snapshot { kind: SnapshotKind::Copy(copy), .. }) => copied(copy.bytes, copy.entries),
        Change::Snapshot(_) => 300,
        // Borg reads all of it, and starts slowly.
        Change::BackUp(back_up) => 2000 + back_up.bytes / BYTES_PER_MILLI,
        Change::MakeDir(_) | Change::OpenStore(_) | Change::Swap(_) | Change::Place(_) => 20,
    };
    match change {
        Change::Stage(stage) => Estimate { millis, bytes: stage.bytes, entries: stage.entries },
        // At most: how much differs is not known yet.
        Change::Mirror(mirror) if !mirror.way.is_staged() => {
            Estimate { millis, bytes: mirror.bytes, entries: mirror.entries }
        }
        _ => Estimate { millis, bytes: 0, entries: 0 },
    }
}

/// Milliseconds that writing a tree takes.
fn copied(bytes: u64, entries: u64) -> u64 {
    50 + bytes / BYTES_PER_MILLI + entries / ENTRIES_PER_MILLI
}

/// Room that a tree of `entries` and `bytes` takes: content in blocks of 4 KiB, and an inode's worth for each.
pub(super) fn footprint(bytes: u64, entries: u64) -> u64 {
    bytes + entries * (2048 + 512)
}
