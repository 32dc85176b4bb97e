//! How a conversation begins: agreeing on the protocol, and opening the repository.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::rpc::{Refusal, Returned, Value, request};
use super::server::Server;
use super::session::Session;
use super::trouble;
use crate::lock::Lock;
use crate::msgpack::{Fault, Reader, Token, each_field};
use crate::{Error, Id};

/// How often who waits looks whether it is to stop.
pub(super) const GLANCE: Duration = Duration::from_millis(100);

/// The version of Borg that we pass for: the newest whose protocol this is.
const VERSION: [Value<'_>; 4] = [Value::Int(1), Value::Int(2), Value::Int(4), Value::Int(-1)];

/// What a repository that was opened tells.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub id: Id,
    /// The sealed key in its config.
    pub key: Option<String>,
}

/// Who waits for the answers to calls, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<HashMap<u32, Sender<Result<Returned, Refusal>>>>);

impl Calls {
    /// Hands an answer to its caller, or back.
    pub fn answered(
        &self,
        number: u32,
        result: Result<Returned, Refusal>,
    ) -> Option<Result<Returned, Refusal>> {
        let Some(caller) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) else {
            return Some(result);
        };
        drop(caller.send(result));
        None
    }

    /// There will be no more answers.
    pub fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A conversation before anything is read.
pub(super) struct Opening<'a> {
    pub server: &'a Server,
    pub session: &'a Session,
    pub calls: &'a Arc<Calls>,
    pub stopped: &'a dyn Fn() -> bool,
    /// What was wrong with what the server said, if it ended for that.
    pub nonsense: &'a dyn Fn() -> Option<String>,
}

impl Opening<'_> {
    /// Opens the repository under `lock`.
    pub fn run(&self, lock: Lock) -> Result<Opened, Error> {
        let version = Value::Map(&[("client_version", Value::List(&VERSION))]);
        let agreed = self.call(0, "negotiate", &[("client_data", version)])?;
        self.check_version(agreed)?;
        let (locks, wait) = match lock {
            Lock::Shared { wait } => (true, u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)),
            Lock::Bypass => (false, 0),
        };
        let args = [
            ("path", Value::Raw(self.server.path.as_bytes())),
            ("create", Value::Bool(false)),
            ("lock_wait", Value::Number(wait)),
            ("lock", Value::Bool(locks)),
            ("exclusive", Value::Bool(false)),
            ("append_only", Value::Bool(false)),
        ];
        let opened = self.call(1, "open", &args)?;
        let id = match opened {
            Ok(Returned::Bytes(id)) => Id::from_slice(&id),
            Ok(Returned::Packed(_)) => None,
            Err(refusal) => return Err(trouble::refused(self.server, &refusal)),
        };
        let id = id.ok_or_else(|| trouble::nonsense(self.server, "it told no repository id"))?;
        // Old servers refuse where there is none.
        let key = match self.call(2, "load_key", &[])? {
            Ok(Returned::Bytes(key)) => String::from_utf8(key).ok().filter(|key| !key.is_empty()),
            _ => None,
        };
        Ok(Opened { id, key })
    }

    fn check_version(&self, agreed: Result<Returned, Refusal>) -> Result<(), Error> {
        let packed = match agreed {
            Ok(Returned::Packed(packed)) => packed,
            Ok(Returned::Bytes(_)) => Vec::new(),
            Err(refusal) => return Err(trouble::refused(self.server, &refusal)),
        };
        let mut major = None;
        let read = each_field::<Fault>(&mut Reader::new(&packed), |key, value| {
            if key != b"server_version" {
                return value.skip();
            }
            let mut version = Reader::new(value.slice()?);
            if let Token::Array(1..) = version.token()? {
                major = Some(version.int()?);
            }
            Ok(())
        });
        match (read, major) {
            (Ok(()), Some(1)) => Ok(()),
            (Ok(()), Some(other)) => Err(Error::Unsupported {
                what: format!("the Borg on the server is of version {other}, only 1 is spoken"),
            }),
            // Borg 1.0 answers with a mere number.
            _ => Err(Error::Unsupported { what: "the Borg on the server is older than 1.1, or none".into() }),
        }
    }

    /// Calls a method and waits for what comes of it.
    fn call(
        &self,
        number: u32,
        method: &str,
        args: &[(&str, Value<'_>)],
    ) -> Result<Result<Returned, Refusal>, Error> {
        let (caller, answer) = bounded(1);
        self.calls.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, caller);
        self.session.send(request(number, method, args));
        loop {
            match answer.recv_timeout(GLANCE) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Timeout) if (self.stopped)() => return Err(Error::Cancelled),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(match (self.nonsense)() {
                        Some(what) => trouble::nonsense(self.server, &what),
                        None => trouble::ended(self.server, &self.session.last_words()),
                    });
                }
            }
        }
    }
}
