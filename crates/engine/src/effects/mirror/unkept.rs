//! Where what gives way is not kept in the store: the step that takes a snapshot puts it back.

use super::{Mirror, Record};
use crate::{Cx, Result};

impl Mirror {
    /// Applies it. Cut off, it goes on forwards.
    pub(super) fn overwrite(&self, cx: &Cx<'_>) -> Result<Record> {
        cx.host.make_dir(&self.old(), 0o700)?;
        let record = if self.way.is_staged() {
            let record = if let Some(record) = self.record(cx)? {
                record
            } else {
                let record = self.find_out(cx)?;
                self.write(&record, cx)?;
                record
            };
            self.carry_out(&record, cx)?;
            record
        } else {
            self.make_room(cx)?;
            // What is gone now is missing, and comes with the rest.
            let record = self.find_out(cx)?;
            self.carry_out(&record, cx)?;
            // What is left of it led to what was extracted.
            cx.host.remove_tree(&self.staged())?;
            record
        };
        Ok(record)
    }

    /// Undoing where nothing is kept here: what gave way is put back by the step that keeps it.
    pub(super) fn give_up(&self, cx: &Cx<'_>) -> Result<()> {
        self.expect_own(cx)?;
        if self.way.is_staged() && Self::is_at(&self.moves(), cx)? {
            self.expect_at_rest(cx)?;
        }
        if cx.host.pretends() {
            return Ok(());
        }
        let record = if self.way.is_staged() { self.record(cx)? } else { None };
        if let Some(mut record) = record {
            if Self::is_at(&self.done(), cx)? {
                // What gave way is gone, and nothing that is there now may be taken for it.
                record.ops.iter_mut().for_each(|op| op.old = None);
                self.write(&record, cx)?;
                cx.host.remove_dir(&self.done())?;
            }
            // Whole where it was staged: this undoing may be cut off and turned round.
            self.carry_back(&record, false, cx)?;
        }
        self.clean_up(cx)
    }
}
