//! A container that was started is only back once it is well.

use std::time::Duration;

use reprise_host::{Container, Health, quote};
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

/// Waits until a container is well: healthy by Docker's own check, or without one running for some
/// seconds on end. Fails when it is not in time, or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitHealthy {
    /// Its name.
    pub container: String,
    /// How long it may take, in seconds.
    pub limit_seconds: u64,
    /// How long it must run on end when it has no health check, in seconds.
    pub stable_seconds: u64,
}

impl AwaitHealthy {
    fn patience(&self) -> Patience {
        Patience {
            limit: Duration::from_secs(self.limit_seconds),
            stable: Duration::from_secs(self.stable_seconds),
        }
    }
}

fn is_ready(container: &Container, stable: Duration, cx: &Cx<'_>) -> bool {
    let up = cx.clock.now().as_second().saturating_sub(container.started);
    container.running
        && match container.health {
            Health::Healthy => true,
            // Started within second n, it has run for `stable` seconds for sure once n + stable + 1 begins.
            Health::None => up > stable.as_secs() as i64,
            Health::Starting | Health::Unhealthy => false,
        }
}

/// Returns once `name` is well; an [`Error::Unhealthy`] when it is not in time, or stays down.
pub(super) fn wait_until_ready(name: &str, patience: Patience, cx: &Cx<'_>) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(200);
    let began = cx.clock.now();
    let deadline = began + patience.limit;
    loop {
        let unhealthy = |state: &str| Error::Unhealthy {
            container: name.to_owned(),
            seconds: cx.clock.now().duration_since(began).as_secs().max(0) as u64,
            state: state.to_owned(),
        };
        let Some(container) = cx.host.docker().container(name)? else {
            return Err(unhealthy("it is gone"));
        };
        if is_ready(&container, patience.stable, cx) {
            return Ok(());
        }
        if cx.watch.cancelled() {
            return Err(Error::Cancelled);
        }
        // One that Docker is going to restart counts as running, so this one stays down: waiting is downtime.
        if !container.running {
            return Err(unhealthy("it has ended"));
        }
        if cx.clock.now() >= deadline {
            return Err(unhealthy(match container.health {
                Health::Unhealthy => "its health check fails",
                Health::Starting => "its health check has not succeeded yet",
                Health::None | Health::Healthy => "it restarts again and again",
            }));
        }
        cx.clock.sleep(PAUSE);
    }
}

impl Effect for AwaitHealthy {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-health").text("container", &self.container)
    }

    fn render(&self, script: &mut Script) {
        let (name, limit, stable) = (quote(&self.container), self.limit_seconds, self.stable_seconds);
        script.needs_health_check();
        script.line(format!("await_healthy {name} {limit} {stable}"));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        let container = cx.host.docker().container(&self.container)?;
        let ready = container.is_some_and(|container| is_ready(&container, self.patience().stable, cx));
        Ok(if ready { Observed::Satisfied } else { Observed::Needed(()) })
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        wait_until_ready(&self.container, self.patience(), cx)
    }

    fn undo(&self, (): &(), _: &Cx<'_>) -> Result<()> {
        Ok(())
    }
}
