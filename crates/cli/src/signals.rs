//! Ctrl+C and its kin ask to stop; what runs sees that and ends in good order.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::passphrase;

/// The wish to stop, shared with the thread that waits for signals.
#[derive(Debug, Clone)]
pub struct Cancel {
    asked: Arc<AtomicBool>,
    changing: Arc<AtomicBool>,
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Cancel {
    /// Whether someone asked to stop.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// From here on the host is being changed, and only an orderly end will do.
    pub fn host_changes(&self) {
        self.changing.store(true, Ordering::Relaxed);
    }

    /// From here on `bar` draws on the terminal, and would wipe out what is said while it does.
    pub fn bar_moves(&self, bar: ProgressBar) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn say(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(|| crate::ui::err(format_args!("\n{text}"))),
            None => crate::ui::err(format_args!("\n{text}")),
        }
    }
}

impl reprise_model::Observer for Cancel {
    fn advance(&self, _bytes: u64, _items: u64) {}
    fn item(&self, _path: &[u8]) {}
    fn cancelled(&self) -> bool {
        self.is_asked()
    }
}

/// Waits for signals from now on, and says that they were heard: `stopping` while nothing is being changed yet,
/// when a second one ends the program at once, `cancelling` after that. `stop` is set with the first.
pub fn watch(stop: &Arc<AtomicBool>, stopping: String, cancelling: String) -> io::Result<Cancel> {
    let cancel = Cancel { asked: Arc::clone(stop), changing: Arc::default(), bar: Arc::default() };
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let shared = cancel.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            let again = shared.asked.swap(true, Ordering::Relaxed);
            let changing = shared.changing.load(Ordering::Relaxed);
            // Who is asked for a passphrase looks at nothing else.
            if !changing && (again || passphrase::stop_asking()) {
                reprise_borg::release_locks();
                std::process::exit(130);
            }
            shared.say(if changing { &cancelling } else { &stopping });
        }
    })?;
    Ok(cancel)
}
