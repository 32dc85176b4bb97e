//! A container that was started is only back once it is well.

use std::time::Duration;

use reprise_host::{Container, Health, PortBinding, quote, reachable};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use crate::{Cx, Effect, Error, Observed, Result, Script};

/// How long a container may take to become well, and how long it must stay up to count as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    pub limit: Duration,
    pub stable: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { limit: Duration::from_mins(2), stable: Duration::from_secs(3) }
    }
}

/// Waits until a container is well: healthy by Docker's own check; without one running for some seconds on end, with
/// the ports open that were open before, and what answered before answering. Fails when it is not in time, or ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitHealthy {
    /// Its name.
    pub container: String,
    /// How long it may take, in seconds.
    pub limit_seconds: u64,
    /// How long it must run on end when it has no health check, in seconds.
    pub stable_seconds: u64,
    /// Ports of the host behind which something must answer when it has no health check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortBinding>,
    /// Commands that ask what runs in it, when it has no health check: the first of which the container has the program
    /// must succeed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<Vec<String>>,
    /// Whether it is well, too, when it has ended without an error: a job, say, that others wait for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_end: bool,
    /// Whether it is only told when it is not well in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_warn: bool,
}

impl AwaitHealthy {
    fn patience(&self) -> Patience {
        Patience {
            limit: Duration::from_secs(self.limit_seconds),
            stable: Duration::from_secs(self.stable_seconds),
        }
    }

    /// What is still missing of a container that is up.
    fn silent(&self, container: &Container, cx: &Cx<'_>) -> Result<Option<String>> {
        if container.health != Health::None || !container.running {
            return Ok(None);
        }
        for PortBinding { address, port, .. } in &self.ports {
            if cx.host.docker().answers(address, *port)? == Some(false) {
                return Ok(Some(format!("nothing answers on port {port}")));
            }
        }
        for command in &self.ask {
            match cx.host.docker().exec(&self.container, command)? {
                Some(true) => break,
                Some(false) => return Ok(Some(format!("`{}` fails in it", command.join(" ")))),
                None => {}
            }
        }
        Ok(None)
    }

    /// Whether it is well, and if not yet, what is missing where that is known.
    fn look(&self, container: &Container, stable: Duration, ahead: i64, cx: &Cx<'_>) -> Result<Wellbeing> {
        if !container.running && self.may_end && container.exit_code == 0 && container.started > 0 {
            return Ok(Wellbeing::Well);
        }
        if !is_ready(container, stable, ahead, cx) {
            return Ok(Wellbeing::NotYet(None));
        }
        Ok(match self.silent(container, cx)? {
            None => Wellbeing::Well,
            missing => Wellbeing::NotYet(missing),
        })
    }

    /// Returns once it is well; an [`Error::Unhealthy`] when it is not in time, or stays down.
    fn wait(&self, patience: Patience, cx: &Cx<'_>) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(200);
        let began = cx.clock.now();
        let deadline = began + patience.limit;
        let ahead = cx.host.clock_ahead()?;
        loop {
            let unhealthy = |state: &str| Error::Unhealthy {
                container: self.container.clone(),
                seconds: cx.clock.now().duration_since(began).as_secs().max(0) as u64,
                state: state.to_owned(),
            };
            let Some(container) = cx.host.docker().container(&self.container)? else {
                return Err(unhealthy("it is gone"));
            };
            let missing = match self.look(&container, patience.stable, ahead, cx)? {
                Wellbeing::Well => return Ok(()),
                Wellbeing::NotYet(missing) => missing,
            };
            if cx.watch.cancelled() {
                return Err(Error::Cancelled);
            }
            // One that Docker is going to restart counts as running, so this one stays down: waiting is downtime.
            if !container.running {
                return Err(unhealthy("it has ended"));
            }
            if cx.clock.now() >= deadline {
                return Err(unhealthy(match (missing.as_deref(), container.health) {
                    (Some(missing), _) => missing,
                    (None, Health::Unhealthy) => "its health check fails",
                    (None, Health::Starting) => "its health check has not succeeded yet",
                    (None, Health::None | Health::Healthy) => "it restarts again and again",
                }));
            }
            cx.clock.sleep(PAUSE);
        }
    }
}

enum Wellbeing {
    Well,
    NotYet(Option<String>),
}

/// `ahead` is how far the clock there is ahead, in milliseconds: it is the one that tells when a container was started.
fn is_ready(container: &Container, stable: Duration, ahead: i64, cx: &Cx<'_>) -> bool {
    let now = cx.clock.now().as_millisecond().saturating_add(ahead);
    container.running
        && match container.health {
            Health::Healthy => true,
            Health::None => now.saturating_sub(container.started) >= stable.as_millis() as i64,
            Health::Starting | Health::Unhealthy => false,
        }
}

/// Returns once `name` is well; an [`Error::Unhealthy`] when it is not in time, or stays down.
pub(super) fn wait_until_ready(name: &str, patience: Patience, cx: &Cx<'_>) -> Result<()> {
    AwaitHealthy { container: name.to_owned(), ..AwaitHealthy::default() }.wait(patience, cx)
}

impl Effect for AwaitHealthy {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-health").text("container", &self.container)
    }

    fn render(&self, script: &mut Script) {
        let (name, limit, stable) = (quote(&self.container), self.limit_seconds, self.stable_seconds);
        script.needs_health_check();
        let mut checks = vec![format!("await_healthy {name} {limit} {stable} {}", u8::from(self.may_end))];
        for PortBinding { address, port, .. } in &self.ports {
            checks.push(format!("await_port {name} {limit} {} {port}", quote(reachable(address))));
        }
        if !self.ask.is_empty() {
            let asks = self
                .ask
                .iter()
                .map(|words| quote(&words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")));
            checks.push(format!("await_answer {name} {limit} {}", asks.collect::<Vec<_>>().join(" ")));
        }
        for check in checks {
            script.line(if self.only_warn { format!("{check} || :") } else { check });
        }
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        let well = match cx.host.docker().container(&self.container)? {
            Some(found) => {
                let ahead = cx.host.clock_ahead()?;
                matches!(self.look(&found, self.patience().stable, ahead, cx)?, Wellbeing::Well)
            }
            None => false,
        };
        Ok(if well { Observed::Satisfied } else { Observed::Needed(()) })
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        match self.wait(self.patience(), cx) {
            Err(Error::Unhealthy { state, .. }) if self.only_warn => {
                let warning = Message::new("warn-unhealthy-kept").text("container", &self.container);
                cx.watch.warn(&warning.text("state", state));
                Ok(())
            }
            other => other,
        }
    }

    fn undo(&self, (): &(), _: &Cx<'_>) -> Result<()> {
        Ok(())
    }
}
