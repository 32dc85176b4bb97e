//! Repositories on other machines, read through `borg serve` over the system's `ssh`.
//!
//! The server hands out sealed objects by their ids, and the sealed key. It is trusted with nothing: every object goes
//! through the same checks as a local one, and the passphrase stays here. While a conversation is open the server holds
//! a shared lock on the repository, as it does for Borg's own readers; it gives it back when it hears no more of us.

mod opening;
mod pool;
mod requests;
mod rpc;
mod server;
mod session;
mod trouble;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use server::Server;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use session::fuzz as fuzz_answers;

use crate::lock::Lock;
use crate::{Error, Id};
use opening::Opened;
use pool::Pool;

/// What an object is taken for whose size nothing tells: a chunk of metadata.
pub(crate) const UNKNOWN_SIZE: u32 = 128 << 10;

/// How servers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// The program that runs a command on another machine, with its arguments: `-p PORT`, the destination and the command
    /// are added.
    pub ssh: Vec<String>,
    /// Borg's name there.
    pub borg: String,
    /// So many conversations at a time, each with a process of its own on the server, which keeps one processor
    /// busy. More than one are begun once much is to be read.
    pub sessions: usize,
    /// How long to wait before each attempt to make a lost connection anew.
    pub pauses: Vec<Duration>,
}

impl Default for Shell {
    /// `ssh`, `borg`, two conversations, three attempts within a quarter of a minute.
    fn default() -> Self {
        let pauses = [1, 4, 10].map(Duration::from_secs).to_vec();
        Self { ssh: vec!["ssh".to_owned()], borg: "borg".to_owned(), sessions: 2, pauses }
    }
}

impl Shell {
    /// The command that begins a conversation.
    fn command(&self, server: &Server) -> Vec<String> {
        let mut command = self.ssh.clone();
        if let Some(port) = server.port {
            command.extend(["-p".to_owned(), port.to_string()]);
        }
        command.extend([server.destination(), self.borg.clone(), "serve".to_owned()]);
        command
    }
}

/// The objects of a repository behind a server.
#[derive(Debug)]
pub(crate) struct Remote {
    pool: Arc<Pool>,
    opened: Opened,
}

impl Remote {
    /// Connects and opens the repository there. Once `interrupt` is set, nothing is waited for any more.
    pub fn open(
        server: &Server,
        shell: &Shell,
        lock: Lock,
        interrupt: Option<Arc<AtomicBool>>,
    ) -> Result<Self, Error> {
        let pool = Arc::new(Pool::new(server.clone(), shell.clone(), lock, interrupt));
        let opened = pool.begin()?;
        Ok(Self { pool, opened })
    }

    /// The repository's id.
    pub fn id(&self) -> Id {
        self.opened.id
    }

    /// The sealed key that lies in the repository, if one does.
    pub fn key(&self) -> Option<&str> {
        self.opened.key.as_deref()
    }

    /// See [`crate::store::Store::get`].
    pub fn get(&self, id: &Id, hint: Option<u32>, buffer: &mut Vec<u8>) -> Result<Range<usize>, Error> {
        *buffer = self.pool.get(*id, hint.unwrap_or(UNKNOWN_SIZE))?;
        Ok(0..buffer.len())
    }

    /// See [`crate::store::Store::expect`].
    pub fn expect(&self, objects: impl IntoIterator<Item = (Id, u32)>) {
        self.pool.expect(objects);
    }

    /// See [`crate::store::Store::forget`].
    pub fn forget(&self, objects: impl IntoIterator<Item = Id>) {
        self.pool.forget(objects);
    }

    /// See [`crate::store::Store::forget_all`].
    pub fn forget_all(&self) {
        self.pool.forget_all();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.pool.close();
    }
}
