//! Requests to the engine itself, through `docker system dial-stdio`: the way `docker` takes over SSH.

use serde_json::Value;

use crate::{Command, Error, Result};

/// What sends `body` as a POST to `path`.
pub(super) fn post(path: &str, body: &Value) -> Command {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    Command::new("docker")
        .args(["system", "dial-stdio"])
        .input([head.into_bytes(), body.into_bytes()].concat())
}

/// Fails unless `answer` tells of success. `what` names what was asked for.
pub(super) fn expect_success(what: &str, answer: &[u8]) -> Result<()> {
    let answer = String::from_utf8_lossy(answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(200..300) => Ok(()),
        Some(status) => Err(Error::Command {
            command: what.to_owned(),
            status: format!("HTTP status {status}"),
            message: message(&answer),
        }),
        None => Err(Error::DockerUnreachable(format!("no answer to `{what}`"))),
    }
}

/// The engine's own words in an answer.
fn message(answer: &str) -> String {
    let from = answer.find("{\"message\"").unwrap_or(answer.len());
    let parsed = serde_json::Deserializer::from_str(&answer[from..]).into_iter::<Value>().next();
    let message = parsed.and_then(|value| Some(value.ok()?.get("message")?.as_str()?.to_owned()));
    message.unwrap_or_else(|| answer.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_is_what_is_said() {
        expect_success("x", b"HTTP/1.1 201 Created\r\n\r\n{}").unwrap();
        let refused =
            b"HTTP/1.1 409 Conflict\r\nContent-Length: 30\r\n\r\n{\"message\":\"the name is taken\"}\n";
        assert!(expect_success("x", refused).unwrap_err().to_string().contains("the name is taken"));
        assert!(matches!(expect_success("x", b""), Err(Error::DockerUnreachable(_))));
    }
}
