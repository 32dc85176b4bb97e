//! What keeps a host from being worked on over SSH, told apart by what ssh and sudo say.

use super::Settings;
use crate::Error;

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answers at its address.
    Unreachable,
    /// No key of it is pinned.
    KeyUnknown,
    /// It has another key than the pinned one.
    KeyChanged,
    /// It does not let us in.
    LoginRefused,
    /// `sudo` wants a password, or is not there.
    SudoRefused,
    /// What we log in as is not root, and does not become it.
    NotRoot,
    /// Its login shell prints things of its own.
    Noise,
    /// Programs are missing there.
    ToolsMissing,
    /// The connection was there, and is not any more.
    Lost,
}

impl Trouble {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "cannot be reached",
            Self::KeyUnknown => "no host key is pinned for it",
            Self::KeyChanged => "its host key is not the one that was pinned; nothing was sent to it",
            Self::LoginRefused => "the login is refused",
            Self::SudoRefused => "sudo does not work without a password",
            Self::NotRoot => "the login does not lead to root",
            Self::Noise => "its login shell prints something of its own before any command",
            Self::ToolsMissing => "programs are missing there",
            Self::Lost => "the connection was lost",
        }
    }

    /// What to do about it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "is the address right (`reprise host show NAME`), and does its ssh server run?"
            }
            Self::KeyUnknown => "`reprise host add NAME` shows its key and pins it",
            Self::KeyChanged => {
                "find out why before you trust it: a new machine, or someone in between? \
                 Then `reprise host remove NAME` and `reprise host add NAME …`"
            }
            Self::LoginRefused => {
                "`reprise host show NAME` prints the key that belongs into its authorized_keys"
            }
            Self::SudoRefused => "docs/hosts.md has the line for its sudoers; or log in as root",
            Self::NotRoot => "log in as root, or as a user who may use sudo without a password",
            Self::Noise => "let ~/.bashrc and the like be silent for shells that nobody types into",
            Self::ToolsMissing => "install them there; `reprise host check NAME` lists them all",
            Self::Lost => "`reprise host check NAME` tells whether it is back",
        }
    }

    /// Whether trying again may help.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::Unreachable | Self::Lost)
    }
}

/// Why a login came to nothing, of what ssh said.
pub(super) fn login(settings: &Settings, said: &str) -> Error {
    let has = |words: &str| said.contains(words);
    let trouble = if has("IDENTIFICATION HAS CHANGED") {
        Trouble::KeyChanged
    } else if has("host key is known") || has("Host key verification failed") {
        Trouble::KeyUnknown
    } else if has("Permission denied (") || has("Too many authentication failures") {
        Trouble::LoginRefused
    } else if has("sudo:") || has("sudo: not found") || has("sudo: command not found") {
        Trouble::SudoRefused
    } else {
        Trouble::Unreachable
    };
    // The wall of text for a changed key says less than its one line that matters.
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('@'));
    let fingerprint =
        lines.clone().find(|line| trouble == Trouble::KeyChanged && line.starts_with("SHA256:"));
    let line = fingerprint.or_else(|| lines.next_back());
    settings.error(trouble, line.unwrap_or("no answer in time"))
}
