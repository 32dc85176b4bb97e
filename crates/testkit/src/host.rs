//! A host's files, with a simulated Docker engine.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reprise_host::{
    Attributes, Claim, Claimed, Command, Disk, Docker, Error, Files, Found, Host, LocalHost, Move, Output,
    Present, Result, Space, Stat, Tree,
};

use crate::SimDocker;

/// A host whose Docker engine is a [`SimDocker`].
pub struct TestHost {
    files: Arc<dyn Host>,
    docker: Arc<SimDocker>,
    exchanges: AtomicBool,
}

impl TestHost {
    /// This machine with `docker`.
    pub fn new(docker: Arc<SimDocker>) -> Self {
        Self::with_files_of(Arc::new(LocalHost::new()), docker)
    }

    /// `files`, whose paths are this machine's, with `docker`.
    pub fn with_files_of(files: Arc<dyn Host>, docker: Arc<SimDocker>) -> Self {
        Self { files, docker, exchanges: AtomicBool::new(true) }
    }

    /// From here on it cannot exchange two names in one step.
    pub fn cannot_exchange(&self) {
        self.exchanges.store(false, Ordering::Relaxed);
    }
}

impl Host for TestHost {
    fn name(&self) -> &'static str {
        "testhost"
    }
    fn user(&self) -> u32 {
        self.files.user()
    }
    fn clock_ahead(&self) -> Result<i64> {
        Ok(self.docker.seconds_ahead() * 1000)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.files.stat(path)
    }
    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.files.canonical(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        self.files.list(path)
    }
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        self.files.read(path, limit)
    }
    fn make_dir(&self, path: &Path, mode: u32) -> Result<()> {
        self.files.make_dir(path, mode)
    }
    fn remove_dir(&self, path: &Path) -> Result<bool> {
        self.files.remove_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.files.rename(from, to)
    }
    fn exchange(&self, a: &Path, b: &Path) -> Result<()> {
        if self.exchanges.load(Ordering::Relaxed) {
            self.files.exchange(a, b)
        } else {
            Err(Error::CannotExchange(a.to_owned()))
        }
    }
    fn remove_tree(&self, path: &Path) -> Result<()> {
        self.files.remove_tree(path)
    }
    fn tree(&self, path: &Path) -> Result<Tree<'_>> {
        self.files.tree(path)
    }
    fn pack(&self, paths: &[PathBuf], except: &[PathBuf]) -> Result<Files<'_>> {
        self.files.pack(paths, except)
    }
    fn edit(&self, tree: &Path, file: &Path, content: &[u8], original: Option<&OsStr>) -> Result<()> {
        self.files.edit(tree, file, content, original)
    }
    fn disk_of(&self, path: &Path) -> Result<Box<dyn Disk + '_>> {
        self.files.disk_of(path)
    }
    fn walk(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
        self.files.walk(path, except)
    }
    fn present(
        &self,
        path: &Path,
        except: &[PathBuf],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Present>> {
        self.files.present(path, except, cancelled)
    }
    fn carry(&self, tree: &Path, store: &Path, moves: &[Move]) -> Result<()> {
        self.files.carry(tree, store, moves)
    }
    fn attributes(&self, path: &Path) -> Result<Attributes> {
        self.files.attributes(path)
    }
    fn set_attributes(&self, tree: &Path, path: &Path, attributes: &Attributes) -> Result<()> {
        self.files.set_attributes(tree, path, attributes)
    }
    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.files.write(path, content)
    }
    fn ask(&self, command: &Command) -> Result<Output> {
        self.files.ask(command)
    }
    fn run(&self, command: &Command) -> Result<Output> {
        self.files.run(command)
    }
    fn space(&self, path: &Path) -> Result<Space> {
        self.files.space(path)
    }
    fn newest_change(&self, path: &Path) -> Result<Option<i64>> {
        self.files.newest_change(path)
    }
    fn mounts_within(&self, path: &Path) -> Result<Vec<PathBuf>> {
        self.files.mounts_within(path)
    }
    fn docker(&self) -> &dyn Docker {
        self.docker.as_ref()
    }
    fn claim(&self, claim: &Claim) -> Result<Claimed> {
        self.files.claim(claim)
    }
}
