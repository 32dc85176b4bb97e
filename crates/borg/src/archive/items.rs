//! The items of an archive, one after the other.

use super::LostItems;
use super::pieces::{Pieces, decoded_ahead};
use super::stream::{Spot, Stream};
use crate::item::{Item, View};
use crate::repository::Repository;
use crate::{Error, Id};

/// Iterates over the items of an archive. See [`crate::Archive::items`].
#[derive(Debug)]
pub struct Items<'r> {
    stream: Stream<'r>,
    done: bool,
}

impl<'r> Items<'r> {
    pub(super) fn new(repository: &'r Repository, archive: String, stream: Vec<Id>) -> Self {
        Self::of(Pieces::new(repository, stream), archive)
    }

    /// Calls `visit` with the items, whose metadata threads decode ahead.
    pub(super) fn ahead<R>(
        repository: &Repository,
        archive: String,
        stream: Vec<Id>,
        visit: impl FnOnce(&mut Items<'_>) -> R,
    ) -> R {
        decoded_ahead(repository, stream, |pieces| visit(&mut Items::of(pieces, archive)))
    }

    fn of(pieces: Pieces<'r>, archive: String) -> Self {
        Self { stream: Stream::new(pieces, archive), done: false }
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            // Parts repeat what the whole file holds.
            let item = self.stream.next(|_, reader| {
                let view = View::decode(reader)?;
                Ok(view.part.is_none().then(|| view.to_item()))
            });
            match item {
                Ok(Some(None)) => {}
                Ok(Some(Some(item))) => return Some(Ok(item)),
                Ok(None) => self.done = true,
                Err(error) => {
                    self.done = !matches!(error, Error::ItemsLost(_));
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// What is found in the stream.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// An item, and where it begins.
    Item(Spot, &'a View<'a>),
    /// Some are lost.
    Lost(LostItems),
}

impl<'a> Found<'a> {
    /// The item.
    ///
    /// # Errors
    /// [`Error::ItemsLost`]: for whoever needs all of them.
    pub fn item(self) -> Result<&'a View<'a>, Error> {
        match self {
            Self::Item(_, item) => Ok(item),
            Self::Lost(lost) => Err(lost.into()),
        }
    }
}

/// Calls `each` with the items as they lie in the stream.
pub(super) fn each_view(
    repository: &Repository,
    archive: String,
    stream: Vec<Id>,
    mut each: impl FnMut(Found<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    decoded_ahead(repository, stream, |pieces| {
        let mut stream = Stream::new(pieces, archive);
        loop {
            let next = stream.next(|spot, reader| {
                let view = View::decode(reader)?;
                Ok(if view.part.is_none() { each(Found::Item(spot, &view)) } else { Ok(()) })
            });
            match next {
                Ok(Some(done)) => done?,
                Ok(None) => return Ok(()),
                Err(Error::ItemsLost(lost)) => each(Found::Lost(*lost))?,
                Err(error) => return Err(error),
            }
        }
    })
}
