//! `reprise mount` and `reprise umount`.
//!
//! To serve in the background, the program starts itself anew: the second one asks for the passphrase, mounts, says on its
//! standard output that it did, and leaves the terminal. So errors are told where somebody reads them.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reprise_model::Message;
use reprise_recoveryfs::{Mounted, Options, View};
use serde_json::json;

use crate::args::{MountArgs, UmountArgs};
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::repository;
use crate::signals::Cancel;
use crate::troubles;
use crate::ui::{Ui, name, one_line, out};

/// What the one in the background says once it serves.
const SERVING: &str = "serving\n";
/// Bytes from which on memory is worth asking the system for.
const LARGE: &str = "524288";
/// How often who waits looks.
const GLANCE: Duration = Duration::from_millis(50);
/// How long who still uses it has after somebody asked to stop. The message says so, too.
const GRACE: Duration = Duration::from_secs(10);
/// How long a process that serves no more may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Mounts an archive, or a repository.
pub fn run(args: &MountArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    if args.foreground || args.serve {
        return serve(args, env, ui, cancel);
    }
    let program = std::env::current_exe()?;
    let mut server = Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--serve")
        // Of the GNU C library: what is as large as a chunk goes back to the system when it is let go, and always. By itself it
        // would learn from the first of them to keep such in its heaps, one for each thread, full of holes.
        .env("MALLOC_MMAP_THRESHOLD_", LARGE)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("what is to serve cannot be started: {error}")))?;
    let mut said = String::new();
    if let Some(stdout) = server.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut said)?;
        if said == SERVING {
            told(args, Some(&troubles::file(&env.state_dir)), ui);
            return Ok(Exit::Done);
        }
        stdout.read_to_string(&mut said)?;
    }
    // It has said why, and as a program reads it if that was asked for.
    if !said.is_empty() {
        out(format_args!("{}", said.trim_end()));
    }
    let cancelled = server.wait()?.code() == Some(Exit::Cancelled as i32);
    Ok(if cancelled { Exit::Cancelled } else { Exit::Error })
}

/// Says what is mounted where, and where it is told what cannot be read.
fn told(args: &MountArgs, log: Option<&Path>, ui: &Ui) {
    let what = args.location.to_string();
    let dir = std::path::absolute(&args.dir).unwrap_or_else(|_| args.dir.clone());
    if ui.json {
        let log = log.map(Path::to_string_lossy);
        Ui::print_json(&json!({ "mounted": what, "dir": dir.to_string_lossy(), "log": log }));
        return;
    }
    let shown = |path: &Path| name(path.as_os_str().as_encoded_bytes());
    Ui::note(&ui.text(&Message::new("mount-done").text("what", one_line(&what)).text("dir", shown(&dir))));
    if let Some(log) = log {
        Ui::note(&ui.text(&Message::new("mount-log").text("file", shown(log))));
    }
}

/// Mounts and serves until it is unmounted or somebody asks to stop.
fn serve(args: &MountArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let place = repository::place(args.location.repository.as_ref(), env)?;
    let repository = repository::open(&place, env)?;
    let view = match &args.location.archive {
        Some(name) => View::Archive(repository::entry(&repository, name)?.name.clone()),
        None => View::Repository,
    };
    let log = args.serve.then(|| troubles::file(&env.state_dir));
    let options = Options {
        cache_bytes: (args.cache as usize) << 20,
        catalogues: env.cache_dir.clone(),
        allow_other: args.allow_other,
        allow_damaged: args.allow_damaged_files,
        numeric_ids: args.numeric_ids,
        listener: Some(troubles::listener(ui.lang, &std::path::absolute(&args.dir)?, log)),
    };
    let mounted = reprise_recoveryfs::mount(repository, &view, &args.dir, &options)?;
    if args.serve {
        leave_terminal()?;
    } else {
        told(args, None, ui);
    }
    while !mounted.has_ended() && !cancel.is_asked() {
        sleep(GLANCE);
    }
    end(mounted, ui)?;
    Ok(Exit::Done)
}

fn end(mounted: Mounted, ui: &Ui) -> Result<(), Failure> {
    if !mounted.has_ended() {
        match mounted.unmount() {
            Ok(true) => {
                Ui::warn(&ui.word("mount-busy"));
                let begin = Instant::now();
                while !mounted.has_ended() && begin.elapsed() < GRACE {
                    sleep(GLANCE);
                }
                if !mounted.has_ended() {
                    mounted.abandon();
                    return Ok(());
                }
            }
            // Somebody else may have been quicker.
            Ok(false) | Err(reprise_recoveryfs::Error::NotOurs { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(mounted.join()?)
}

/// Says that it serves, and lets go of the terminal and of the directory it was started in.
fn leave_terminal() -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    stdout.write_all(SERVING.as_bytes())?;
    stdout.flush()?;
    let nothing = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing).map_err(std::io::Error::from)?;
    rustix::stdio::dup2_stdout(&nothing).map_err(std::io::Error::from)?;
    rustix::stdio::dup2_stderr(&nothing).map_err(std::io::Error::from)?;
    // Fails only for who leads a group already, and then there is no terminal to leave.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    Ok(())
}

/// Takes a mount away and waits until its process has closed the repository.
pub fn umount(args: &UmountArgs, ui: &Ui) -> Result<Exit, Failure> {
    let found = reprise_recoveryfs::find(&args.dir);
    let is_stale = found.as_ref().is_some_and(|found| found.is_stale);
    reprise_recoveryfs::unmount(&args.dir, args.lazy || is_stale)?;
    let process = found.and_then(|found| found.process).filter(|_| !args.lazy && !is_stale);
    if let Some(process) = process {
        wait_for(process, &args.dir)?;
    }
    if ui.json {
        Ui::print_json(&json!({ "unmounted": args.dir.to_string_lossy() }));
    } else {
        let dir = name(args.dir.as_os_str().as_encoded_bytes());
        Ui::note(&ui.text(&Message::new("umount-done").text("dir", dir)));
    }
    Ok(Exit::Done)
}

/// Whether a process runs. One that has ended and that nobody has asked for yet is still there, and for good where the first
/// process, as in many containers, asks for nobody.
fn runs(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name before it may hold anything, also parentheses.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn wait_for(process: u32, dir: &Path) -> Result<(), Failure> {
    let begin = Instant::now();
    while runs(process) {
        if begin.elapsed() > PATIENCE {
            let what = format!("{} is unmounted, but its process {process} goes on", dir.display());
            return Err(Failure::new(what).hint("it keeps the repository locked; look at what it does"));
        }
        sleep(GLANCE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{GLANCE, runs};

    #[test]
    fn a_process_that_ended_runs_no_more_though_nobody_has_asked_for_it() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = child.id();
        assert!(runs(process));
        drop(child.stdin.take());
        // Not waited for: it stays there.
        while runs(process) {
            std::thread::sleep(GLANCE);
        }
        assert!(std::path::Path::new(&format!("/proc/{process}")).exists());
        child.wait().unwrap();
        assert!(!runs(process));
    }
}
