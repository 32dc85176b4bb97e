//! How long work reports progress and learns that it should stop.

/// Watches long work and may ask it to stop. Called from many threads, often: implementations only count.
pub trait Observer: Send + Sync {
    /// `bytes` of content and `items` (files, directories, links, …) were finished since the last call.
    fn advance(&self, bytes: u64, items: u64);

    /// The item in hand, as a path from a backup: any bytes, meant for showing only.
    fn item(&self, path: &[u8]);

    /// True once the work should end early. Work that sees it undoes nothing itself: it returns its
    /// `Cancelled` error and leaves undoing to its caller.
    fn cancelled(&self) -> bool;
}

/// An [`Observer`] that shows nothing and never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn advance(&self, _bytes: u64, _items: u64) {}
    fn item(&self, _path: &[u8]) {}
    fn cancelled(&self) -> bool {
        false
    }
}
