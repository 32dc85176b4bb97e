//! The repository's `config`: a small INI file as Python's `configparser` writes it.

use std::fs;
use std::io;
use std::path::Path;

use crate::{Error, Id};

/// Larger files are no config.
const MAX_SIZE: u64 = 1 << 20;

/// What a reader needs of it.
#[derive(Debug)]
pub(crate) struct Config {
    pub id: Id,
    pub segments_per_dir: u32,
    /// The sealed key, as base64 with line breaks.
    pub key: Option<String>,
}

impl Config {
    pub fn read(repository: &Path) -> Result<Self, Error> {
        let path = repository.join("config");
        let not = |reason: &str| Error::NotARepository { path: repository.to_owned(), reason: reason.into() };
        let text = match fs::metadata(&path) {
            Ok(data) if data.len() > MAX_SIZE => return Err(not("its config is too large")),
            Ok(_) => fs::read_to_string(&path),
            Err(error) => Err(error),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    return Err(not("it has no config"));
                }
                io::ErrorKind::InvalidData => return Err(not("its config is not text")),
                _ => return Err(Error::Read { path, source: error }),
            },
        };
        Self::parse(repository, &text)
    }

    /// What the config `text` of the repository says.
    pub fn parse(repository: &Path, text: &str) -> Result<Self, Error> {
        let not = |reason: &str| Error::NotARepository { path: repository.to_owned(), reason: reason.into() };
        let values = section(text, "repository").ok_or_else(|| not("its config has no [repository]"))?;
        let get =
            |name: &str| values.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match get("version") {
            Some("1") => {}
            Some(version) => {
                return Err(Error::Unsupported { what: format!("it has version {version}, only 1 is read") });
            }
            None => return Err(not("its config has no version")),
        }
        Ok(Self {
            id: get("id").and_then(Id::from_hex).ok_or_else(|| not("its config has no valid id"))?,
            segments_per_dir: get("segments_per_dir")
                .and_then(|number| number.parse().ok())
                .filter(|number| *number > 0)
                .ok_or_else(|| not("its config has no valid segments_per_dir"))?,
            key: get("key").filter(|key| !key.is_empty()).map(str::to_owned),
        })
    }
}

/// Names and values of a section. A line that begins with white space continues the value before it.
fn section(text: &str, wanted: &str) -> Option<Vec<(String, String)>> {
    let mut inside = false;
    let mut values: Option<Vec<(String, String)>> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name == wanted;
            if inside {
                values.get_or_insert_default();
            }
            continue;
        }
        let Some(values) = values.as_mut().filter(|_| inside) else { continue };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = values.last_mut() {
                value.push('\n');
                value.push_str(trimmed);
            }
        } else if let Some((key, value)) = line.split_once(['=', ':']) {
            values.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn values_continue_on_indented_lines() {
        let text = "[other]\nid = no\n[repository]\nid = 00\nkey = abc=\n\tdef==\n\n[more]\nid = no\n";
        let values = section(text, "repository").unwrap();
        assert_eq!(values, [("id".into(), "00".into()), ("key".into(), "abc=\ndef==".to_owned())]);
    }
}
