//! Where objects come from, by id: the segment files of a local repository, or a server.

mod local;

use std::ops::Range;

pub(crate) use local::Local;

use crate::index::Place;
use crate::remote::Remote;
pub(crate) use crate::remote::UNKNOWN_SIZE;
use crate::{Error, Id};

/// The objects of a repository.
#[derive(Debug)]
pub(crate) enum Store {
    Local(Local),
    Remote(Remote),
}

impl Store {
    /// Reads an object into `buffer` and returns the range that holds its data. `hint` is the expected size of the
    /// data in bytes; a good one saves time, a wrong one is harmless.
    pub fn get(&self, id: &Id, hint: Option<u32>, buffer: &mut Vec<u8>) -> Result<Range<usize>, Error> {
        match self {
            Self::Local(local) => local.get(id, hint, buffer),
            Self::Remote(remote) => remote.get(id, hint, buffer),
        }
    }

    /// Where an object lies, if that is known. Objects read in the order of their places are read fastest.
    pub fn place(&self, id: &Id) -> Option<Place> {
        match self {
            Self::Local(local) => local.place(id),
            Self::Remote(_) => None,
        }
    }

    /// Tells which objects will be wanted soon, in this order, each with about the size of its data. A server is asked for
    /// them ahead.
    pub fn expect(&self, objects: impl IntoIterator<Item = (Id, u32)>) {
        if let Self::Remote(remote) = self {
            remote.expect(objects);
        }
    }

    /// Takes back that these objects were expected.
    pub fn forget(&self, objects: impl IntoIterator<Item = Id>) {
        if let Self::Remote(remote) = self {
            remote.forget(objects);
        }
    }

    /// Takes back everything that was expected.
    pub fn forget_all(&self) {
        if let Self::Remote(remote) = self {
            remote.forget_all();
        }
    }

    /// The segment files, if they are at hand.
    pub fn local(&self) -> Option<&Local> {
        match self {
            Self::Local(local) => Some(local),
            Self::Remote(_) => None,
        }
    }
}
