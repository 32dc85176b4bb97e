//! What is being worked on, made known on the machine itself: two operations on the same thing are kept apart there,
//! whichever installation and state directory they come from, and whether they run there or reach it over SSH.
//!
//! Each claim is a file in `/run/reprise`, locked for as long as a shell there lives that reads from a pipe of ours.
//! However we end, the pipe does, then the shell, and with it the claim. The same shell does it here and there.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wait_timeout::ChildExt;

use crate::ssh::Connection;
use crate::{Error, Result};

/// What one operation works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The operation's id.
    pub operation: String,
    /// Who runs it, and from where.
    pub by: String,
    /// Since when.
    pub since: jiff::Timestamp,
    /// On what.
    pub things: Vec<Thing>,
}

/// Something that only one operation may work on at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// A path, and all below it.
    Path(PathBuf),
    /// A container, by name.
    Container(String),
    /// A volume, by name.
    Volume(String),
}

impl Thing {
    /// Whether one is, or lies in, the other.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(a), Self::Path(b)) => a.starts_with(b) || b.starts_with(a),
            _ => self == other,
        }
    }

    /// What it is, for people.
    pub fn in_words(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Container(name) => format!("container {name}"),
            Self::Volume(name) => format!("volume {name}"),
        }
    }
}

/// A claim that holds until this is dropped.
#[derive(Debug)]
pub struct Claimed {
    _here: Option<Holder>,
    _there: Option<Release>,
}

/// A claim on the other side is the connection's, which takes it anew when it was lost.
#[derive(Debug)]
struct Release(Arc<Connection>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Claimed {
    /// Claims on this machine.
    pub(crate) fn here(claim: &Claim) -> Result<Self> {
        Ok(Self { _here: Some(take_here(claim)?), _there: None })
    }

    /// Claims on the other side of `connection`.
    pub(crate) fn there(connection: &Arc<Connection>, claim: &Claim) -> Result<Self> {
        connection.claim(claim)?;
        Ok(Self { _here: None, _there: Some(Release(Arc::clone(connection))) })
    }
}

fn take_here(claim: &Claim) -> Result<Holder> {
    patiently(claim, crate::HERE, || {
        let mut sh = Command::new("sh");
        sh.args(["-c", SCRIPT, "sh", &claim.operation, MARK]).env("LC_ALL", "C");
        sh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        sh.spawn().map_err(|source| Error::Start { program: "sh".to_owned(), source })
    })
}

/// What the shell's lines of this protocol begin with.
pub(crate) const MARK: &str = "reprise-claim";

/// Tells the claims that are held, then waits for ours, and holds it until standard input ends. Claims that nobody holds
/// any more are removed.
pub(crate) const SCRIPT: &str = "umask 077
d=/run/reprise
if [ \"$(id -u)\" != 0 ]; then d=/run/lock/reprise-$(id -u); fi
[ -d \"$d\" ] || mkdir -m 700 -- \"$d\" 2>/dev/null
if [ -L \"$d\" ] || ! [ -O \"$d\" ]; then echo \"$d cannot be used: it is not a directory of ours\" >&2; exit 1; fi
exec 9>>\"$d/lock\" && flock -w 20 9 || { echo \"$d/lock cannot be had\" >&2; exit 1; }
for f in \"$d\"/*.claim; do
  [ -f \"$f\" ] || continue
  if flock -n \"$f\" true; then rm -f -- \"$f\"; continue; fi
  c=$(cat -- \"$f\" 2>/dev/null) && printf '%s held %s\\n' \"$2\" \"$c\"
done
printf '%s asks\\n' \"$2\"
IFS= read -r claim && [ -n \"$claim\" ] || exit 0
f=$d/$1.claim
exec 8>>\"$f\" && flock -n 8 && printf '%s\\n' \"$claim\" >&8 || { echo \"$f cannot be had\" >&2; exit 1; }
exec 9>&-
printf '%s holds\\n' \"$2\"
cat >/dev/null
rm -f -- \"$f\"";

/// How long an operation may take to be gone that was ended by force.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long the shell may take to answer.
const ANSWER: Duration = Duration::from_mins(1);

/// Takes `claim` with the shells that `start` starts; those on the way out get some time to be gone.
pub(crate) fn patiently(claim: &Claim, host: &str, start: impl Fn() -> Result<Child>) -> Result<Holder> {
    let began = Instant::now();
    loop {
        match Holder::take(claim, host, start()?) {
            Err(Error::Claimed { .. }) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(200));
            }
            other => return other,
        }
    }
}

/// The shell that holds a claim.
#[derive(Debug)]
pub(crate) struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Holder {
    fn take(claim: &Claim, host: &str, mut child: Child) -> Result<Self> {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut holder = Self { child, stdin };
        let (send, lines) = mpsc::channel();
        if let Some(stdout) = stdout {
            std::thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(std::io::Result::ok);
                lines.for_each(|line| drop(send.send(line)));
            });
        }
        let said = stderr.map(crate::process::drain);
        let until = |word: &str| {
            let mut before = Vec::new();
            loop {
                let line = lines.recv_timeout(ANSWER).ok()?;
                match line.strip_prefix(MARK).map(str::trim) {
                    Some(found) if found == word => return Some(before),
                    Some(found) => before.push(found.to_owned()),
                    None => {}
                }
            }
        };
        let claimed = until("asks").and_then(|held| {
            if let Some(other) = held.iter().find_map(|line| conflict(claim, line)) {
                return Some(Err(other));
            }
            let line = serde_json::to_string(claim).ok()?;
            writeln!(holder.stdin.as_mut()?, "{line}").ok()?;
            until("holds").map(|_| Ok(()))
        });
        match claimed {
            Some(Ok(())) => Ok(holder),
            Some(Err((other, thing))) => {
                Err(Error::Claimed { host: host.to_owned(), thing, other: Box::new(other) })
            }
            None => {
                drop(holder);
                let said = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
                // Of several lines the last is its own for certain, whatever a login shell said before it.
                let said = String::from_utf8_lossy(&said);
                let reason = said.trim().lines().last().unwrap_or_default().to_owned();
                Err(Error::CannotClaim { host: host.to_owned(), reason })
            }
        }
    }

    /// Whether it still holds.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Given back means given back, not soon.
        if !matches!(self.child.wait_timeout(Duration::from_secs(5)), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The claim that `line` tells of and what it shares with ours, if it does.
fn conflict(ours: &Claim, line: &str) -> Option<(Claim, String)> {
    let other: Claim = serde_json::from_str(line.strip_prefix("held ")?).ok()?;
    let shared = other.things.iter().find(|thing| ours.things.iter().any(|own| own.meets(thing)))?.in_words();
    Some((other, shared))
}

/// What is there of claims on this machine: for tests and for looking.
pub fn claims_directory() -> &'static Path {
    Path::new("/run/reprise")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(operation: &str, things: Vec<Thing>) -> Claim {
        let since = jiff::Timestamp::UNIX_EPOCH;
        Claim { operation: operation.to_owned(), by: "root@here".to_owned(), since, things }
    }

    fn path(path: &str) -> Thing {
        Thing::Path(format!("/reprise-test/{}/{path}", std::process::id()).into())
    }

    #[test]
    fn a_thing_has_one_operation_at_a_time() {
        let first = Claimed::here(&claim("claim-a", vec![path("srv/shop")])).unwrap();
        let below = Claimed::here(&claim("claim-b", vec![path("srv/shop/data")])).unwrap_err();
        for words in ["claim-a", "root@here", "1970", "srv/shop"] {
            assert!(below.to_string().contains(words), "{below}");
        }
        let beside = Claimed::here(&claim("claim-c", vec![path("srv/shop2")])).unwrap();
        drop(first);
        let after = Claimed::here(&claim("claim-b", vec![path("srv/shop/data")])).unwrap();
        drop((beside, after));
        let left = std::fs::read_dir(claims_directory()).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|name| name.starts_with("claim-")).count(), 0);
    }

    #[test]
    fn a_claim_ends_with_its_holder_however_that_ends() {
        let container = Thing::Container(format!("reprise-test-{}", std::process::id()));
        let mut holder = take_here(&claim("claim-d", vec![container.clone()])).unwrap();
        holder.child.kill().unwrap();
        holder.child.wait().unwrap();
        drop(holder.stdin.take());
        Claimed::here(&claim("claim-e", vec![container])).unwrap();
    }
}
