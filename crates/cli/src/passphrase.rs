//! The passphrase, from where Borg would take it, else from a person.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::FromRawFd;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use reprise_borg::PassphraseError;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

/// The passphrase: `BORG_PASSPHRASE`, the output of `BORG_PASSCOMMAND`, what `BORG_PASSPHRASE_FD` holds, or
/// what a person at the terminal types. Nothing when there is none of these.
pub fn find() -> Result<Option<SecretString>, PassphraseError> {
    // Asked for once: nobody sits there when the repository is opened again in the middle of a restore.
    static FOUND: OnceLock<Option<SecretString>> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let found = ask()?;
    Ok(FOUND.get_or_init(|| found).clone())
}

fn ask() -> Result<Option<SecretString>, PassphraseError> {
    if let Ok(passphrase) = std::env::var("BORG_PASSPHRASE") {
        return Ok(Some(passphrase.into()));
    }
    if let Ok(command) = std::env::var("BORG_PASSCOMMAND") {
        return from_command(&command).map(Some);
    }
    if let Ok(number) = std::env::var("BORG_PASSPHRASE_FD") {
        return from_descriptor(&number).map(Some);
    }
    if std::io::stdin().is_terminal() {
        *asking() = tcgetattr(std::io::stdin()).ok();
        let typed = inquire::Password::new("Borg passphrase:").without_confirmation().prompt();
        *asking() = None;
        return typed.map(|typed| Some(typed.into())).map_err(Into::into);
    }
    Ok(None)
}

/// How the terminal was before somebody was asked, as long as they are.
fn asking() -> MutexGuard<'static, Option<Termios>> {
    static ASKING: Mutex<Option<Termios>> = Mutex::new(None);
    ASKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether somebody is being asked; then the terminal is put right, for a program that ends now.
pub fn stop_asking() -> bool {
    let Some(before) = asking().take() else { return false };
    // Whether that can be done or not, the program ends.
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    true
}

/// Where [`find`] takes the passphrase from, in words, to be told with one that is wrong.
pub fn origin() -> &'static str {
    let variables = ["BORG_PASSPHRASE", "BORG_PASSCOMMAND", "BORG_PASSPHRASE_FD"];
    // As `find` does: one that is set but no text is passed over.
    variables.into_iter().find(|name| std::env::var(name).is_ok()).unwrap_or("the terminal")
}

/// What `command` prints, without the line's end, as Borg does it. It may ask on the terminal.
fn from_command(command: &str) -> Result<SecretString, PassphraseError> {
    let words =
        shlex::split(command).filter(|words| !words.is_empty()).ok_or("BORG_PASSCOMMAND is not a command")?;
    let output = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("BORG_PASSCOMMAND cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("BORG_PASSCOMMAND failed ({})", output.status).into());
    }
    without_line_end(output.stdout)
}

fn from_descriptor(number: &str) -> Result<SecretString, PassphraseError> {
    let number: i32 = number.parse().map_err(|_| "BORG_PASSPHRASE_FD is not a number")?;
    if number < 0 || number == 1 || number == 2 {
        return Err("BORG_PASSPHRASE_FD must be 0, or 3 or more".into());
    }
    // SAFETY: whoever set the variable hands the descriptor over to us; it is used here and nowhere else.
    #[expect(unsafe_code, reason = "a descriptor given by number can only be taken so")]
    let mut file = unsafe { File::from_raw_fd(number) };
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(|error| format!("BORG_PASSPHRASE_FD cannot be read: {error}"))?;
    without_line_end(content)
}

fn without_line_end(content: Vec<u8>) -> Result<SecretString, PassphraseError> {
    let mut text = String::from_utf8(content).map_err(|_| "the passphrase is not UTF-8")?;
    while text.ends_with('\n') {
        text.pop();
    }
    Ok(text.into())
}
