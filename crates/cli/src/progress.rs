//! Progress of a plan, live on a terminal and line by line elsewhere (DR-17). Always on standard error.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize;
use reprise_engine::{Direction, Plan, Step, Watch};
use reprise_model::{Message, Observer};

use crate::signals::Cancel;
use crate::ui::{Ui, err, name};

/// Shows a plan being driven.
pub struct Progress<'a> {
    ui: &'a Ui,
    cancel: &'a Cancel,
    bar: ProgressBar,
    /// Expected milliseconds of each step.
    millis: Vec<u64>,
    began: Mutex<Instant>,
}

impl<'a> Progress<'a> {
    /// For `plan`; `cancel` tells when someone asks to stop.
    pub fn new(plan: &Plan, ui: &'a Ui, cancel: &'a Cancel) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let millis = plan.steps.iter().map(|step| step.estimate.millis.max(1)).collect();
        let bar = ProgressBar::with_draw_target(None, target);
        cancel.bar_moves(bar.clone());
        Self { ui, cancel, bar, millis, began: Mutex::new(Instant::now()) }
    }

    /// Clears the line that moves.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| err(format_args!("{line}")));
    }

    /// Percent of the whole that is done before step `index`.
    fn percent(&self, index: usize, direction: Direction) -> u64 {
        let all: u64 = self.millis.iter().sum();
        let before: u64 = self.millis.iter().take(index).sum();
        let done = if direction == Direction::Forward { before } else { all - before - self.millis[index] };
        done * 100 / all.max(1)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for Progress<'_> {
    fn advance(&self, bytes: u64, _items: u64) {
        self.bar.inc(bytes);
    }

    fn item(&self, path: &[u8]) {
        let path = name(path);
        let shown = path.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<String>();
        self.bar.set_message(shown);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_asked()
    }
}

impl Watch for Progress<'_> {
    fn step_begins(&self, index: usize, total: usize, step: &Step, direction: Direction) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let what = self.ui.text(&step.change.describe());
        let what = match direction {
            Direction::Forward => what,
            Direction::Backward => self.ui.text(&Message::new("undoing").text("step", what)),
        };
        let percent = self.percent(index, direction);
        self.bar.reset();
        if direction == Direction::Forward && step.estimate.bytes > 0 {
            self.bar.set_length(step.estimate.bytes);
            self.bar.set_style(style(
                "{prefix}\n     {bar:24} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}  {msg}",
            ));
        } else {
            self.bar.set_style(style("{spinner} {prefix} {elapsed}"));
        }
        self.bar.set_message("");
        self.bar.set_prefix(format!("{percent:3}% [{}/{total}] {what}", index + 1));
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    fn step_ends(&self, index: usize, step: &Step, direction: Direction) {
        let took = self.began.lock().unwrap_or_else(PoisonError::into_inner).elapsed().as_secs_f64();
        let what = self.ui.text(&step.change.describe());
        let mark = match direction {
            Direction::Forward => "done".green().to_string(),
            Direction::Backward => "undone".yellow().to_string(),
        };
        let total = self.millis.len();
        self.say(&format!("  [{:>2}/{total}] {what}  {mark} ({took:.1} s)", index + 1));
    }

    fn warn(&self, warning: &Message) {
        let text = self.ui.text(warning);
        self.bar.suspend(|| Ui::warn(&text));
    }
}
