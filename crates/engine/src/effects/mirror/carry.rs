//! The names as they move, one way and the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reprise_host::Move;

use super::{Mirror, Op, Record, Way};
use crate::{Cx, Result};

impl Mirror {
    pub(super) fn carry_out(&self, record: &Record, cx: &Cx<'_>) -> Result<()> {
        let mut moves = Vec::new();
        for op in &record.ops {
            let placed = self.target.join(&op.path);
            if let Some(number) = op.old {
                moves.push(Move {
                    stored: self.kept(number),
                    placed: placed.clone(),
                    out: true,
                    only_if: None,
                });
            }
            if op.new {
                moves.push(Move { stored: self.staged().join(&op.path), placed, out: false, only_if: None });
            }
        }
        cx.host.carry(&self.target, &self.store, &moves)?;
        for directory in record.directories.iter().rev() {
            cx.host.set_attributes(&self.target, &directory.path, &directory.after)?;
        }
        Ok(())
    }

    /// Takes back what of `record` was done; `clearing`, also what was put into an exchanged tree since.
    pub(super) fn carry_back(&self, record: &Record, clearing: bool, cx: &Cx<'_>) -> Result<()> {
        let mut moves = Vec::new();
        if self.way == Way::Exchange && clearing {
            self.clear_away(record, &mut moves, cx)?;
        }
        for op in &record.ops {
            let placed = self.target.join(&op.path);
            let kept = op.old.map(|number| self.kept(number));
            if op.new {
                let stored = self.staged().join(&op.path);
                moves.push(Move { stored, placed: placed.clone(), out: true, only_if: kept.clone() });
            }
            if let Some(stored) = kept {
                moves.push(Move { stored, placed, out: false, only_if: None });
            }
        }
        cx.host.carry(&self.target, &self.store, &moves)?;
        for directory in record.directories.iter().rev() {
            cx.host.set_attributes(&self.target, &directory.path, &directory.before)?;
        }
        if self.way.is_staged() {
            // What comes back changes the times of where it was staged, and these are wanted once more: at once, or when an
            // undoing that was cut off is turned round.
            for directory in record.directories.iter().rev().filter(|directory| directory.differs) {
                cx.host.set_attributes(&self.staged(), &directory.path, &directory.after)?;
            }
        }
        Ok(())
    }

    /// What is in an exchanged tree and neither came with the backup nor was there before was made since: it goes, as it
    /// does with a tree that is exchanged as a whole.
    fn clear_away(&self, record: &Record, moves: &mut Vec<Move>, cx: &Cx<'_>) -> Result<()> {
        let since = self.store.join("since");
        let ops: BTreeMap<&Path, &Op> = record.ops.iter().map(|op| (op.path.as_path(), op)).collect();
        for name in cx.host.list(&self.target)?.into_iter().map(PathBuf::from) {
            if self.is_apart(&name) {
                continue;
            }
            let only_if = match ops.get(name.as_path()) {
                Some(Op { new: true, .. }) => continue,
                Some(Op { old: Some(number), .. }) => Some(self.kept(*number)),
                _ => None,
            };
            moves.push(Move {
                stored: since.join(&name),
                placed: self.target.join(&name),
                out: true,
                only_if,
            });
        }
        if moves.is_empty() { Ok(()) } else { Ok(cx.host.make_dir(&since, 0o700)?) }
    }
}
