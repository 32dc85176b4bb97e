//! Keys: the host's, which is pinned before anything is sent to it, and ours, which it lets in.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use super::Destination;
use crate::{Error, Result};

/// A public key of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Its kind, such as `ssh-ed25519`.
    pub kind: String,
    /// The key, in base64.
    pub key: String,
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: String,
}

/// Reads `KIND BASE64`, as in a `.pub` file.
impl FromStr for HostKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let (Some(kind), Some(key)) = (words.next(), words.next()) else {
            return Err(failed(
                "reading a host key",
                "it is not KIND and KEY, as in a file that ends in .pub",
            ));
        };
        Self::new(kind, key)
    }
}

impl HostKey {
    fn new(kind: &str, key: &str) -> Result<Self> {
        let what = "reading a host key";
        let said = run("ssh-keygen", &["-l", "-E", "sha256", "-f", "-"], &format!("{kind} {key}\n"), what)?;
        let fingerprint = said.split_whitespace().find(|word| word.starts_with("SHA256:"));
        let fingerprint = fingerprint.ok_or_else(|| failed(what, said.trim()))?.to_owned();
        Ok(Self { kind: kind.to_owned(), key: key.to_owned(), fingerprint })
    }
}

/// The keys that `destination` shows, the kind to prefer first. Whether they are its own is for a person to say.
pub fn scan(destination: &Destination) -> Result<Vec<HostKey>> {
    let what = format!("asking {} for its host keys", destination.address);
    let port = destination.port.to_string();
    let said = run("ssh-keyscan", &["-T", "10", "-p", &port, "--", &destination.address], "", &what)?;
    let mut keys = Vec::new();
    for kind in
        ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"]
    {
        let lines = said.lines().filter(|line| !line.starts_with('#'));
        let of_kind =
            lines.filter_map(|line| line.split_once(' ')?.1.split_once(' ')).filter(|(k, _)| *k == kind);
        for (kind, key) in of_kind {
            keys.push(HostKey::new(kind, key.trim())?);
        }
    }
    if keys.is_empty() { Err(failed(&what, "no ssh server answers there")) } else { Ok(keys) }
}

/// Writes the file that pins `key` for the host called `name`.
pub fn pin(file: &Path, name: &str, key: &HostKey) -> Result<()> {
    let write = || {
        let dir = file.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        writeln!(new, "{name} {} {}", key.kind, key.key)?;
        new.as_file().sync_all()?;
        new.persist(file)?;
        Ok(())
    };
    write().map_err(|error: std::io::Error| Error::file("write", file, error))
}

/// Makes a key pair at `file` unless there is one, and returns the public key as one line.
pub fn make_identity(file: &Path, comment: &str) -> Result<String> {
    let public = file.with_extension("pub");
    if !public.exists() {
        let what = format!("making a key pair at {}", file.display());
        let path = file.to_str().ok_or_else(|| failed(&what, "its path is not UTF-8"))?;
        // A half of a pair that a cut left behind would be asked about.
        let _ = fs::remove_file(file);
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path], "", &what)?;
    }
    let text = fs::read_to_string(&public).map_err(|error| Error::file("read", &public, error))?;
    Ok(text.trim().to_owned())
}

fn failed(what: &str, reason: &str) -> Error {
    Error::Key { what: what.to_owned(), reason: reason.to_owned() }
}

/// What a program of OpenSSH says when it is given `input`.
fn run(program: &str, args: &[&str], input: &str, what: &str) -> Result<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Start { program: program.to_owned(), source })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output =
        child.wait_with_output().map_err(|source| Error::Start { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with('#'));
    Err(failed(what, last.unwrap_or("it failed without a word")))
}
