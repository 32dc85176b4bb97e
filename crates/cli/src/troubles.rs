//! What cannot be read of a mount, told where somebody looks: on the terminal, or once that was left in a file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reprise_model::{Lang, Message};
use reprise_recoveryfs::{Listener, Trouble};

use crate::ui::{Ui, name, one_line};

/// A file larger than this is put aside, and the one put aside before goes.
const FULL: u64 = 1 << 20;

/// The file in which all mounts in the background tell what cannot be read.
pub fn file(state: &Path) -> PathBuf {
    state.join("mount.log")
}

/// Tells of what is mounted on `dir`: on standard error, and in the file `log` if there is one.
pub fn listener(lang: Lang, dir: &Path, log: Option<PathBuf>) -> Listener {
    let dir = name(dir.as_os_str().as_encoded_bytes());
    Listener::new(move |trouble| {
        for line in lines(trouble, lang) {
            Ui::warn(&line);
            if let Some(log) = &log {
                // Nobody is left to tell that it cannot be told.
                let _ = append(log, &format!("{:.0} {dir}: {line}\n", Timestamp::now()));
            }
        }
    })
}

fn lines(trouble: &Trouble, lang: Lang) -> Vec<String> {
    let message = match (&trouble.range, trouble.path.is_empty()) {
        (Some(range), _) => {
            Message::new("mount-lost-bytes").count("from", range.start).count("to", range.end)
        }
        (None, false) => Message::new("mount-lost-file"),
        (None, true) => Message::new("mount-lost-archive"),
    };
    let message = message
        .text("path", name(&trouble.path))
        .text("archive", one_line(&trouble.archive))
        .text("reason", one_line(&trouble.reason));
    let others = Message::new("mount-lost-others").count("count", trouble.others as u64);
    let others = (trouble.others > 0).then_some(others);
    others.into_iter().chain([message]).map(|message| one_line(&message.in_lang(lang))).collect()
}

fn append(log: &Path, line: &str) -> io::Result<()> {
    if let Some(dir) = log.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    if std::fs::metadata(log).is_ok_and(|data| data.len() > FULL) {
        std::fs::rename(log, log.with_extension("log.1"))?;
    }
    let mut file: File = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
    // In one piece: several mounts may write at a time.
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let log = file(&dir.path().join("state"));
        append(&log, &"x".repeat(FULL as usize + 1)).unwrap();
        append(&log, "one\n").unwrap();
        append(&log, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n");
        assert!(dir.path().join("state/mount.log.1").exists());
    }
}
