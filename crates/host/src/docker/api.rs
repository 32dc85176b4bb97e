//! Requests to the engine's own interface and its answers, as HTTP has them on a connection that is kept.

use std::io::{self, BufRead, Read};

use serde_json::Value;

use super::ObjectKind;
use crate::{Command, Error, Result};

/// No head of an answer is longer.
const HEAD_LIMIT: u64 = 64 << 10;

/// No answer to what is asked here is longer, with the descriptions of thousands of containers.
const BODY_LIMIT: u64 = 256 << 20;

/// No name that is asked for is longer.
const NAME_LIMIT: usize = 1024;

/// Something to look at. Its address names no version of the interface: the engine answers in its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request(String);

/// What sends `body` to `address`: a command with an answer on its standard output.
pub(super) fn post(address: &str, body: &Value) -> Command {
    let body = body.to_string();
    let head = format!(
        "POST {address} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    // A server in Go takes the end of its input for its client's, and may stop in the middle.
    dial().open_input([head.into_bytes(), body.into_bytes()].concat())
}

/// What connects its standard input and output with the engine.
pub(super) fn dial() -> Command {
    Command::new("docker").args(["system", "dial-stdio"])
}

impl Request {
    /// What is at `address`.
    pub fn get(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// What lists everything of that kind, containers that do not run included.
    pub fn list(kind: ObjectKind) -> Self {
        Self::get(match kind {
            ObjectKind::Container => "/containers/json?all=1",
            ObjectKind::Volume => "/volumes",
            ObjectKind::Network => "/networks",
            ObjectKind::Image => "/images/json",
        })
    }

    /// What `docker inspect` asks for; `None` where `name` is none that has a place in an address.
    pub fn inspect(kind: ObjectKind, name: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-:".contains(c);
        // One of dots alone leads elsewhere.
        let is_plain = name.chars().all(plain)
            && name.contains(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= NAME_LIMIT;
        is_plain.then(|| {
            Self::get(match kind {
                ObjectKind::Container => format!("/containers/{name}/json"),
                ObjectKind::Volume => format!("/volumes/{name}"),
                ObjectKind::Network => format!("/networks/{name}"),
                ObjectKind::Image => format!("/images/{name}/json"),
            })
        })
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        format!("GET {} HTTP/1.1\r\nHost: docker\r\n\r\n", self.0).into_bytes()
    }
}

/// As it is asked.
impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (GET {})", dial(), self.0)
    }
}

/// What the engine answers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// What came with it.
    pub body: Vec<u8>,
    /// Whether nothing more comes on this connection.
    pub is_last: bool,
}

/// Secrets may be in it: of what came, its length only.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, body, is_last } = self;
        write!(f, "{status}, {} bytes, last: {is_last}", body.len())
    }
}

impl Answer {
    /// The same where it tells of success; else the engine's own words. `what` names what was asked for.
    pub fn success(self, what: &str) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let said = serde_json::from_slice::<Value>(&self.body).ok();
        let message = said.as_ref().and_then(|said| said.get("message")?.as_str()).map(str::to_owned);
        // Not the engine's words, but those of something before it.
        let first_line = || String::from_utf8_lossy(&self.body).lines().next().unwrap_or_default().to_owned();
        Err(Error::Command {
            command: what.to_owned(),
            status: format!("HTTP status {}", self.status),
            message: message.unwrap_or_else(first_line),
        })
    }

    /// Whether something before the engine does not let this be asked so; its commands may be.
    pub fn is_barred(&self) -> bool {
        matches!(self.status, 401 | 403 | 405 | 501)
    }

    /// Reads the next one that comes. Fails with [`io::ErrorKind::UnexpectedEof`] where there is none.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        loop {
            let answer = Self::read_any(from)?;
            // Those only announce one (RFC 9110, section 15.2).
            if !(100..200).contains(&answer.status) {
                return Ok(answer);
            }
        }
    }

    fn read_any(from: &mut impl BufRead) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let line =
                from.take(HEAD_LIMIT.saturating_sub(head.len() as u64)).read_until(b'\n', &mut head)?;
            if line == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&head).map_err(invalid)?;
        let Some(status) = response.code.filter(|_| parsed.is_complete()) else {
            return Err(invalid("it is no answer"));
        };
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
        };
        let is_last = header("Connection").as_deref() == Some("close");
        let body = if header("Transfer-Encoding").as_deref() == Some("chunked") {
            chunked(from)?
        } else if let Some(length) = header("Content-Length") {
            exactly(from, length.parse().map_err(invalid)?)?
        } else if is_last {
            let mut body = Vec::new();
            from.take(BODY_LIMIT).read_to_end(&mut body)?;
            body
        } else {
            Vec::new()
        };
        Ok(Self { status, body, is_last })
    }
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

fn exactly(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    if length > BODY_LIMIT {
        return Err(invalid("it is too long"));
    }
    let mut body = Vec::new();
    if from.take(length).read_to_end(&mut body)? as u64 == length {
        Ok(body)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// A body in pieces, each after its length (RFC 9112, section 7.1).
fn chunked(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut line = Vec::new();
    let mut next_line = |from: &mut dyn BufRead| {
        line.clear();
        from.take(HEAD_LIMIT).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            Ok(line.clone())
        } else {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        }
    };
    loop {
        let Ok(httparse::Status::Complete((_, length))) = httparse::parse_chunk_size(&next_line(from)?)
        else {
            return Err(invalid("a piece has no length"));
        };
        if length == 0 {
            // What comes after the last piece tells nothing that is asked for.
            while next_line(from)?.trim_ascii() != b"" {}
            return Ok(body);
        }
        if length > BODY_LIMIT - body.len() as u64 {
            return Err(invalid("it is too long"));
        }
        body.extend(exactly(from, length)?);
        next_line(from)?;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(mut text: &[u8]) -> io::Result<Answer> {
        Answer::read(&mut text)
    }

    #[test]
    fn answers_come_one_after_the_other_however_their_ends_are_told() {
        let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n\
                     HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nnone\nHTTP/1.1 304 Not Modified\r\n\r\n\
                     HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe rest";
        let mut from = &text[..];
        let mut next = || Answer::read(&mut from).unwrap();
        for (status, body, is_last) in
            [(200, "abcde", false), (404, "none\n", false), (304, "", false), (200, "the rest", true)]
        {
            assert_eq!(next(), Answer { status, body: body.into(), is_last });
        }
        assert_eq!(Answer::read(&mut from).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_cut_off_or_no_answer_is_an_error() {
        let whole: &[&[u8]] = &[
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        ];
        for text in whole {
            read(text).unwrap();
            for end in 0..text.len() {
                assert_eq!(read(&text[..end]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{end}");
            }
        }
        for text in [
            "Cannot connect to the Docker daemon\r\n\r\n",
            "\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[test]
    fn what_the_engine_says_is_what_is_said() {
        let answer = |status, body: &str| Answer { status, body: body.into(), is_last: false };
        answer(201, "{}").success("x").unwrap();
        let refused = answer(409, r#"{"message":"the name is taken"}"#).success("x").unwrap_err();
        assert!(refused.to_string().contains("409") && refused.to_string().contains("the name is taken"));
        let other = answer(502, "no way\nthrough").success("x").unwrap_err().to_string();
        assert!(other.ends_with("no way"), "{other}");
        assert!(!format!("{:?}", answer(200, "secret")).contains("secret"));
    }

    #[test]
    fn a_request_says_how_long_it_is_and_no_name_leads_elsewhere() {
        let post = post("/containers/create?name=a", &json!({"Image": "x"}));
        let text = String::from_utf8(post.given().to_vec()).unwrap();
        assert!(text.starts_with("POST /containers/create?name=a HTTP/1.1\r\nHost: docker\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 13\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n{\"Image\":\"x\"}") && post.input_stays_open(), "{text}");
        let named = |name| Request::inspect(ObjectKind::Image, name).map(|request| request.0);
        assert_eq!(named("sha256:1f").as_deref(), Some("/images/sha256:1f/json"));
        for name in ["", "..", "a/../b", "a b", "a?b", "a\r\nb", "é", &"a".repeat(NAME_LIMIT + 1)] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
