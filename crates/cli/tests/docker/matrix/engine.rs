//! Between the program and the Docker engine that all tests share: a socket at which the engine can be gone, hang, or
//! refuse, without being so.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{fs, thread};

const ENGINE: &str = "/var/run/docker.sock";

/// How the engine seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mood {
    /// As it is.
    Up,
    /// Not there.
    Gone,
    /// It takes requests and does not answer.
    Hanging,
    /// The next request to change something whose path holds `path` is answered with `message`, unless it is not the
    /// last of `times`.
    Refusing { path: String, message: String, times: usize },
}

#[derive(Debug)]
struct Shared {
    mood: Mutex<(Mood, usize)>,
    changed: Condvar,
}

impl Shared {
    fn mood(&self) -> MutexGuard<'_, (Mood, usize)> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket.
#[derive(Debug)]
pub struct Engine {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Engine {
    /// A socket at `path`, behind which the engine is as it is.
    pub fn at(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let shared = Arc::new(Shared { mood: Mutex::new((Mood::Up, 0)), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                thread::spawn(move || serve(client, &shared));
            }
        });
        Self { path: path.to_owned(), shared }
    }

    /// The address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn away(&self) -> PathBuf {
        self.path.with_extension("away")
    }

    fn set(&self, mood: Mood) {
        if mood == Mood::Gone {
            let _ = fs::rename(&self.path, self.away());
        } else {
            let _ = fs::rename(self.away(), &self.path);
        }
        self.shared.mood().0 = mood;
        self.shared.changed.notify_all();
    }

    /// From now on it is as it is.
    pub fn come_back(&self) {
        self.set(Mood::Up);
    }

    /// From now on it is not there.
    pub fn go(&self) {
        self.set(Mood::Gone);
    }

    /// From now on it does not answer.
    pub fn hang(&self) {
        self.set(Mood::Hanging);
    }

    /// Its next `times` answers to requests to change what `path` names are `message`.
    pub fn refuse(&self, path: &str, message: &str, times: usize) {
        self.set(Mood::Refusing { path: path.to_owned(), message: message.to_owned(), times });
    }

    /// How many requests hang.
    pub fn hanging(&self) -> usize {
        self.shared.mood().1
    }
}

/// Passes on what one client asks, as long as the mood lets it.
fn serve(mut client: UnixStream, shared: &Shared) {
    if shared.mood().0 == Mood::Gone {
        return;
    }
    let Ok(mut engine) = UnixStream::connect(ENGINE) else { return };
    let (Ok(mut answers), Ok(mut back)) = (engine.try_clone(), client.try_clone()) else { return };
    thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 1 << 16];
    // Whoever wants something changed waits for the answer before it asks again, so what is read at once is one such request, or
    // more of one, or several that only look.
    while let Ok(length) = client.read(&mut buffer) {
        if length == 0 {
            // It has asked all there is, and may still wait for the answer.
            let _ = engine.shutdown(Shutdown::Write);
            return;
        }
        let request = &buffer[..length];
        match admit(request, shared) {
            Admitted::Yes => {}
            Admitted::Never => break,
            Admitted::Answered(message) => {
                let body = format!("{{\"message\":{message:?}}}");
                let _ = write!(
                    client,
                    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                // As every server does that is asked to (RFC 9112, section 9.6).
                if String::from_utf8_lossy(request).contains("\r\nConnection: close\r\n") {
                    break;
                }
                continue;
            }
        }
        if engine.write_all(request).is_err() {
            break;
        }
    }
    let _ = engine.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

enum Admitted {
    Yes,
    Never,
    Answered(String),
}

/// Waits while the engine hangs; says what becomes of a request.
fn admit(request: &[u8], shared: &Shared) -> Admitted {
    let mut mood = shared.mood();
    if mood.0 == Mood::Hanging {
        mood.1 += 1;
        while mood.0 == Mood::Hanging {
            mood = shared.changed.wait(mood).unwrap_or_else(PoisonError::into_inner);
        }
        mood.1 -= 1;
    }
    let line = String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or_default());
    let changes = line.starts_with("POST ") || line.starts_with("DELETE ") || line.starts_with("PUT ");
    match &mut mood.0 {
        Mood::Gone => Admitted::Never,
        Mood::Refusing { path, message, times } if changes && *times > 0 && line.contains(path.as_str()) => {
            *times -= 1;
            Admitted::Answered(message.clone())
        }
        _ => Admitted::Yes,
    }
}
