//! A store may lie where containers can write: in a mount point, it is in their sight. So nothing in it is believed before it
//! was looked at, once they are stopped.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use reprise_host::FileKind;

use super::{Mirror, Record, Way};
use crate::effects::container::expect_undisturbed;
use crate::effects::refused;
use crate::{Cx, Error, Result};

/// What was kept at `path` is not there any more.
pub(super) fn gone(path: &Path) -> Error {
    refused(
        path,
        "is gone: what was kept is gone, so what was there before cannot be put back",
        "what was restored stays; for what was there before, restore from an archive",
    )
}

impl Record {
    /// Whether it can be what `mirror` writes; why not, otherwise.
    pub(super) fn expect_sound(&self, mirror: &Mirror) -> std::result::Result<(), String> {
        let way = mirror.way;
        let mut kept = BTreeSet::new();
        for op in &self.ops {
            let names = names(&op.path).filter(|names| *names > 0 && !mirror.is_apart(&op.path));
            let is_sound = names.is_some_and(|names| names == 1 || way != Way::Exchange);
            if !is_sound {
                return Err(format!("it names `{}`", op.path.display()));
            }
            if op.old.is_some_and(|number| number >= self.ops.len() || !kept.insert(number)) {
                return Err(format!("it gives `{}` a number that is none", op.path.display()));
            }
        }
        let is_sound = |path: &Path| {
            names(path).is_some_and(|names| names == 0 || way != Way::Exchange && !mirror.is_apart(path))
        };
        match self.directories.iter().find(|directory| !is_sound(&directory.path)) {
            Some(directory) => Err(format!("it names the directory `{}`", directory.path.display())),
            None => Ok(()),
        }
    }
}

/// How many names a path below a directory has; nothing for one that could lead out of it, or is not written plainly.
fn names(path: &Path) -> Option<usize> {
    let plain: Option<Vec<_>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let plain = plain?;
    let joined: PathBuf = plain.iter().collect();
    (joined.as_os_str() == path.as_os_str()).then_some(plain.len())
}

impl Mirror {
    /// Fails unless the store is what this step made, once containers of this step that may write there are stopped.
    pub(super) fn expect_own(&self, cx: &Cx<'_>) -> Result<()> {
        // A rehearsal only believes that there is a store.
        if cx.host.pretends() {
            return Ok(());
        }
        expect_undisturbed(&[], Some(&self.store), &self.users, cx)?;
        self.expect_made_here(cx)
    }

    /// The same, once those that use the target are stopped, too.
    pub(super) fn expect_at_rest(&self, cx: &Cx<'_>) -> Result<()> {
        expect_undisturbed(std::slice::from_ref(&self.target), Some(&self.store), &self.users, cx)?;
        if cx.host.pretends() { Ok(()) } else { self.expect_made_here(cx) }
    }

    /// Fails unless the store, and what this step has in it, is what it made: no link to elsewhere, and nobody else's.
    fn expect_made_here(&self, cx: &Cx<'_>) -> Result<()> {
        let on = if self.way == Way::Fill { &self.store } else { &self.target };
        let Some(on) = cx.host.stat(on)? else { return Ok(()) };
        let directories = [self.store.clone(), self.old(), self.staged(), self.done(), self.again()];
        let directories = directories.into_iter().chain([self.store.join("since")]);
        let expected = directories.map(|path| (path, FileKind::Directory));
        for (path, kind) in expected.chain([(self.moves(), FileKind::File)]) {
            let Some(stat) = cx.host.stat(&path)? else { continue };
            // A staged tree has the owner that it has in the backup.
            let is_ours = stat.owner == cx.host.user() || path == self.staged();
            if stat.kind != kind || stat.device != on.device || !is_ours {
                return Err(refused(
                    &path,
                    "is not what Reprise made there",
                    "something changed it, perhaps a container: look at what lies there, then put back by hand or restore from an archive",
                ));
            }
        }
        Ok(())
    }

    /// Fails unless everything that gave way is still in the store.
    pub(super) fn expect_all_kept(&self, record: &Record, cx: &Cx<'_>) -> Result<()> {
        let held: BTreeSet<OsString> = match cx.host.stat(&self.old())? {
            Some(_) => cx.host.list(&self.old())?.into_iter().collect(),
            None => BTreeSet::new(),
        };
        let mut kept = record.ops.iter().filter_map(|op| op.old);
        match kept.find(|number| !held.contains(&OsString::from(number.to_string()))) {
            Some(number) => Err(gone(&self.kept(number))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Directory, Keep, Op};
    use super::*;

    fn op(path: &str, old: Option<usize>) -> Op {
        Op { path: path.into(), old, new: true }
    }

    fn of(ops: Vec<Op>) -> Record {
        Record { ops, ..Record::default() }
    }

    /// A step whose target is a file system of its own, which holds the store.
    fn mirror(way: Way) -> Mirror {
        Mirror {
            from: "data".to_owned(),
            target: "/data".into(),
            store: "/data/.reprise-op".into(),
            way,
            keep: Keep::InStore,
            entries: 0,
            bytes: 0,
            users: Vec::new(),
        }
    }

    #[test]
    fn a_record_that_leads_out_of_the_target_or_to_what_is_not_kept_is_not_believed() {
        for way in [Way::Exchange, Way::Exact, Way::Merge] {
            assert_eq!(of(vec![op("a", Some(1)), op("b", Some(0))]).expect_sound(&mirror(way)), Ok(()));
            for path in [
                "/etc/passwd",
                "../x",
                "a/../../x",
                "",
                ".",
                "./a",
                "a/",
                "a//b",
                ".reprise-other/old",
                "lost+found",
            ] {
                assert!(of(vec![op(path, None)]).expect_sound(&mirror(way)).is_err(), "{path}");
            }
            assert!(of(vec![op("a", Some(1))]).expect_sound(&mirror(way)).is_err(), "no such number");
            assert!(
                of(vec![op("a", Some(0)), op("b", Some(0))]).expect_sound(&mirror(way)).is_err(),
                "twice the same"
            );
        }
        assert!(
            of(vec![op("a/b", None)]).expect_sound(&mirror(Way::Exchange)).is_err(),
            "names are exchanged at the top"
        );
        assert_eq!(of(vec![op("a/b", None)]).expect_sound(&mirror(Way::Exact)), Ok(()));
        let beside = Mirror { store: "/data.kept".into(), ..mirror(Way::Exact) };
        assert_eq!(
            of(vec![op("lost+found", None)]).expect_sound(&beside),
            Ok(()),
            "it is like any other there"
        );
        let attributes = reprise_host::Attributes {
            mode: 0,
            uid: 0,
            gid: 0,
            seconds: 0,
            nanoseconds: 0,
            xattrs: Vec::new(),
        };
        for (path, is_sound) in [("", true), ("a", true), ("..", false), ("/etc", false), ("a/../..", false)]
        {
            let directory = Directory {
                path: path.into(),
                before: attributes.clone(),
                after: attributes.clone(),
                differs: false,
            };
            let record = Record { directories: vec![directory], ..Record::default() };
            assert_eq!(record.expect_sound(&mirror(Way::Exact)).is_ok(), is_sound, "{path}");
        }
    }
}
