//! Progress of reading, as one line that moves on a terminal and nothing elsewhere. Always on standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reprise_model::Observer;

use crate::signals::Cancel;
use crate::ui::{Ui, name};

/// Shows bytes as they are read, or items as they are gone through.
pub struct Meter<'a> {
    cancel: &'a Cancel,
    bar: ProgressBar,
    /// Whether it is items that count.
    of_items: bool,
}

impl<'a> Meter<'a> {
    /// For `total` bytes, if that is known; `cancel` tells when someone asks to stop.
    pub fn new(total: Option<u64>, cancel: &'a Cancel) -> Self {
        let template = match total {
            Some(_) => "{bar:24} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}  {msg}",
            None => "{spinner} {bytes} {bytes_per_sec} {elapsed}  {msg}",
        };
        Self::shown(template, total, false, cancel)
    }

    /// For the items of an archive, of which nobody knows how many there are.
    pub fn of_items(ui: &Ui, cancel: &'a Cancel) -> Self {
        let meter = Self::shown("{spinner} {human_pos} {prefix} {elapsed}", None, true, cancel);
        meter.bar.set_prefix(ui.word("word-items"));
        meter
    }

    fn shown(template: &str, total: Option<u64>, of_items: bool, cancel: &'a Cancel) -> Self {
        let shown = std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        if shown {
            bar.enable_steady_tick(Duration::from_millis(100));
            cancel.bar_moves(bar.clone());
        }
        Self { cancel, bar, of_items }
    }
}

impl Observer for Meter<'_> {
    fn advance(&self, bytes: u64, items: u64) {
        self.bar.inc(if self.of_items { items } else { bytes });
    }

    fn item(&self, path: &[u8]) {
        if !self.bar.is_hidden() {
            let path = name(path);
            let beginning = path.chars().count().saturating_sub(40);
            self.bar.set_message(path.chars().skip(beginning).collect::<String>());
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_asked()
    }
}

/// The line goes when the work ends, however it does.
impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
