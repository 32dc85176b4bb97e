//! What went wrong between us and a server, in words that help.

use std::io;
use std::path::PathBuf;

use super::rpc::Refusal;
use super::server::Server;
use super::session::Words;
use crate::{Error, Id};

/// The exit code of `ssh` when it, and not the command, failed.
const SSH_FAILED: i32 = 255;
/// The exit codes of a shell that does not find a command, or may not run it.
const NO_COMMAND: [i32; 2] = [126, 127];

const TRY_BY_HAND: &str =
    "Try it by hand with `ssh`: the host, the port, the user and the key must be the right ones.";
const PIN_IT: &str =
    "Compare the fingerprint with that of the server, then log in once with `ssh` to accept it.";
const CHANGED: &str = "Either the server was made anew or somebody is in between. Find out which before you remove the old key with `ssh-keygen -R`.";
const LOGIN: &str = "Log in by hand with `ssh` and the same user; load the key into the agent, or name it in `~/.ssh/config`.";
const WHERE_IS_BORG: &str = "Install Borg there, or set BORG_REMOTE_PATH to where it is.";
const QUIET_SHELL: &str =
    "What the login prints (in .bashrc, for example) must not appear when a command is run.";
const AGAIN: &str = "See whether the server and the network are up, and start again.";

fn failed(server: &Server, reason: impl Into<String>, hint: &'static str) -> Error {
    Error::Server { location: server.to_string(), reason: reason.into(), hint }
}

/// The program that connects is not there.
pub(super) fn not_started(server: &Server, program: &str, error: &io::Error) -> Error {
    failed(
        server,
        format!("`{program}` cannot be run: {error}"),
        "Install an SSH client, or see to BORG_RSH.",
    )
}

/// The server says what it should not.
pub(super) fn nonsense(server: &Server, what: &str) -> Error {
    failed(server, what, QUIET_SHELL)
}

/// The connection did not come back.
pub(super) fn given_up(server: &Server, why: &str) -> Error {
    failed(server, why, AGAIN)
}

/// A conversation ended although it should not.
pub(super) fn ended(server: &Server, words: &Words) -> Error {
    let has = |text: &str| words.lines.iter().any(|line| line.contains(text));
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return failed(server, "its host key is not the one that was accepted before", CHANGED);
    }
    if has("Host key verification failed") {
        return failed(server, "its host key was never accepted on this machine", PIN_IT);
    }
    let last = words.lines.iter().rev().find(|line| !line.starts_with("Connection closed by remote"));
    let said = last.cloned().unwrap_or_else(|| "the connection ended without a word".to_owned());
    let hint = match words.exit_code {
        Some(code) if NO_COMMAND.contains(&code) => WHERE_IS_BORG,
        Some(SSH_FAILED) if has("Permission denied") => LOGIN,
        Some(SSH_FAILED) => TRY_BY_HAND,
        _ => AGAIN,
    };
    failed(server, said, hint)
}

/// The server refused to open the repository.
pub(super) fn refused(server: &Server, refusal: &Refusal) -> Error {
    let path = || PathBuf::from(server.to_string());
    match refusal.class.as_str() {
        "DoesNotExist" => {
            Error::NotARepository { path: path(), reason: "there is nothing on the server".into() }
        }
        "InvalidRepository" | "InvalidRepositoryConfig" => {
            Error::NotARepository { path: path(), reason: refusal.message.clone() }
        }
        "AtticRepository" => Error::Unsupported { what: "it was written by Attic".into() },
        "LockTimeout" => Error::Locked { path: path(), by: "another program, as the server says".to_owned() },
        "LockFailed" | "LockError" | "LockErrorT" => Error::LockFailed {
            path: path(),
            source: io::Error::other(format!("the server says: {}", refusal.message)),
        },
        "PathNotAllowed" => failed(
            server,
            "the server does not let this key or user at this path",
            "See to `--restrict-to-path` or `--restrict-to-repository` in the server's authorized_keys.",
        ),
        _ => failed(server, said(refusal), "The server's Borg said so: see whether `borg list` works."),
    }
}

/// The server did not hand out an object.
pub(super) fn no_object(server: &Server, id: Id, refusal: &Refusal) -> Error {
    match refusal.class.as_str() {
        "ObjectNotFound" => Error::ChunkMissing { id },
        "IntegrityError" => Error::integrity(id, format!("the server says: {}", refusal.message)),
        "" => Error::integrity(id, refusal.message.clone()),
        _ => failed(server, said(refusal), "The server's Borg said so: `borg check` may tell more."),
    }
}

fn said(refusal: &Refusal) -> String {
    let Refusal { class, message } = refusal;
    let text = if message.is_empty() { class } else { message };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str], exit_code: i32) -> (String, &'static str) {
        let server = Server::parse("ssh://host/borg").unwrap().unwrap();
        let words =
            Words { lines: lines.iter().map(ToString::to_string).collect(), exit_code: Some(exit_code) };
        let error = ended(&server, &words);
        (error.to_string(), error.hint().unwrap_or_default())
    }

    #[test]
    fn each_reason_has_its_own_advice() {
        let unknown = [
            "No ED25519 host key is known for host and you have requested strict checking.",
            "Host key verification failed.",
        ];
        assert_eq!(after(&unknown, 255).1, PIN_IT);
        let changed =
            ["@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "Host key verification failed."];
        assert_eq!(after(&changed, 255).1, CHANGED);
        assert_eq!(after(&["me@host: Permission denied (publickey)."], 255).1, LOGIN);
        let (text, hint) = after(&["ssh: connect to host host port 22: Connection refused"], 255);
        assert_eq!(hint, TRY_BY_HAND);
        assert!(text.contains("Connection refused"), "{text}");
        assert_eq!(after(&["sh: 1: borg: not found"], 127).1, WHERE_IS_BORG);
        assert_eq!(after(&[], 137).1, AGAIN);
    }
}
