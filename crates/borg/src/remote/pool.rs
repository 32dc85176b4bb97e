//! The conversations with one server, and who waits for what of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use super::opening::{Calls, GLANCE, Opened, Opening};
use super::requests::{Look, Order, Requests};
use super::rpc::{Answer, Refusal, Returned, Value, request};
use super::server::Server;
use super::session::Session;
use super::{Shell, trouble};
use crate::lock::Lock;
use crate::{Error, Id};

/// Requests for objects are numbered from here; before that come those of opening.
const FIRST_OBJECT: u32 = 16;

/// Everything that the threads of one repository's conversations share.
#[derive(Debug)]
pub(super) struct Pool {
    server: Server,
    shell: Shell,
    lock: Lock,
    interrupt: Option<Arc<AtomicBool>>,
    requests: Mutex<Requests>,
    arrived: Condvar,
    sessions: Mutex<HashMap<usize, Session>>,
    /// Conversations begun beside the first.
    more: AtomicUsize,
    /// The repository that all conversations are about.
    repository: OnceLock<Id>,
    /// Held by whoever makes a lost connection anew.
    reviving: Mutex<()>,
    /// Why no connection will be made any more.
    given_up: Mutex<Option<String>>,
    /// What ended the last conversation.
    last_trouble: Mutex<Option<Error>>,
    /// Conversations made anew since an object last arrived.
    fruitless: AtomicUsize,
    closed: AtomicBool,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the listener of a conversation and its beginner tell each other.
#[derive(Debug, Default)]
struct Fate {
    /// The number of the conversation, once it takes part.
    place: Option<usize>,
    ended: bool,
    nonsense: Option<String>,
}

impl Pool {
    pub fn new(server: Server, shell: Shell, lock: Lock, interrupt: Option<Arc<AtomicBool>>) -> Self {
        Self {
            server,
            shell,
            lock,
            interrupt,
            requests: Mutex::new(Requests::from(FIRST_OBJECT)),
            arrived: Condvar::new(),
            sessions: Mutex::default(),
            more: AtomicUsize::new(1),
            repository: OnceLock::new(),
            reviving: Mutex::default(),
            given_up: Mutex::default(),
            last_trouble: Mutex::default(),
            fruitless: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    fn is_stopped(&self) -> bool {
        let interrupted = self.interrupt.as_ref().is_some_and(|wish| wish.load(Ordering::Relaxed));
        interrupted || self.closed.load(Ordering::Acquire)
    }

    /// Begins a conversation, which takes part from then on. The repository must be the one that the first was about.
    pub fn begin(self: &Arc<Self>) -> Result<Opened, Error> {
        let (calls, fate): (Arc<Calls>, Arc<Mutex<Fate>>) = Default::default();
        let listener = {
            let (pool, calls, fate) = (Arc::downgrade(self), Arc::clone(&calls), Arc::clone(&fate));
            move |heard: Result<Answer, Option<String>>| match heard {
                Ok(Answer { number, result }) => {
                    let of_object = calls.answered(number, result);
                    if let (Some(result), Some(pool)) = (of_object, pool.upgrade()) {
                        pool.answered(number, result);
                    }
                }
                Err(nonsense) => {
                    let place = {
                        let mut fate = held(&fate);
                        fate.ended = true;
                        fate.nonsense = nonsense;
                        fate.place
                    };
                    calls.end();
                    if let (Some(place), Some(pool)) = (place, pool.upgrade()) {
                        pool.lost(place, held(&fate).nonsense.take());
                    }
                }
            }
        };
        let command = self.shell.command(&self.server);
        let session = Session::start(&command, listener)
            .map_err(|error| trouble::not_started(&self.server, &command[0], &error))?;
        let opening = Opening {
            server: &self.server,
            session: &session,
            calls: &calls,
            stopped: &|| self.is_stopped(),
            nonsense: &|| held(&fate).nonsense.take(),
        };
        let opened = opening.run(self.lock)?;
        if *self.repository.get_or_init(|| opened.id) != opened.id {
            return Err(trouble::nonsense(&self.server, "the repository there is another one now"));
        }
        let place = held(&self.requests).join();
        held(&self.sessions).insert(place, session);
        // Only now: what it would be asked before would reach nobody, and be waited for in vain.
        held(&self.requests).admit(place);
        let has_ended = {
            let mut fate = held(&fate);
            fate.place = Some(place);
            fate.ended
        };
        if has_ended {
            self.lost(place, None);
        }
        if self.closed.load(Ordering::Acquire) {
            self.close();
        }
        Ok(opened)
    }

    /// An object, or why there is none, arrived.
    fn answered(&self, number: u32, result: Result<Returned, Refusal>) {
        let result = result.and_then(|returned| match returned {
            Returned::Bytes(bytes) => Ok(bytes),
            Returned::Packed(_) => Err(Refusal { class: String::new(), message: "it is no object".into() }),
        });
        // What nobody has asked for is no progress: a server could keep us busy with it for ever.
        if held(&self.requests).arrive(number, result) {
            self.fruitless.store(0, Ordering::Relaxed);
        }
        self.arrived.notify_all();
    }

    /// A conversation has ended.
    fn lost(&self, place: usize, nonsense: Option<String>) {
        let session = held(&self.sessions).remove(&place);
        let trouble = match (nonsense, &session) {
            (Some(what), _) => {
                // It would say the same again.
                held(&self.given_up).get_or_insert(what.clone());
                trouble::nonsense(&self.server, &what)
            }
            (None, Some(session)) => trouble::ended(&self.server, &session.last_words()),
            (None, None) => trouble::ended(&self.server, &super::session::Words::default()),
        };
        *held(&self.last_trouble) = Some(trouble);
        held(&self.requests).leave(place);
        self.arrived.notify_all();
    }

    /// Waits for an object that takes about `size` bytes there.
    pub fn get(self: &Arc<Self>, id: Id, size: u32) -> Result<Vec<u8>, Error> {
        loop {
            let mut requests = held(&self.requests);
            match requests.look(id, size) {
                Look::Here(content) => {
                    drop(requests);
                    self.ask_ahead();
                    return content.map_err(|refusal| trouble::no_object(&self.server, id, &refusal));
                }
                Look::Nobody => {
                    drop(requests);
                    self.revive()?;
                    continue;
                }
                Look::Ask(order) => self.send(&order),
                Look::OnItsWay => {}
            }
            drop(self.arrived.wait_timeout(requests, GLANCE).unwrap_or_else(PoisonError::into_inner));
            if self.is_stopped() {
                return Err(Error::Cancelled);
            }
        }
    }

    fn send(&self, order: &Order) {
        if let Some(session) = held(&self.sessions).get(&order.session) {
            session.send(request(order.number, "get", &[("id", Value::Raw(&order.id.0))]));
        }
    }

    /// Asks for what was planned, as far as there is room.
    fn ask_ahead(&self) {
        let mut requests = held(&self.requests);
        while let Some(order) = requests.next() {
            self.send(&order);
        }
    }

    /// These objects will be wanted soon, in this order.
    pub fn expect(self: &Arc<Self>, objects: impl IntoIterator<Item = (Id, u32)>) {
        let is_much = {
            let mut requests = held(&self.requests);
            requests.plan(objects);
            while let Some(order) = requests.next() {
                self.send(&order);
            }
            requests.has_plans()
        };
        if is_much && self.more.load(Ordering::Relaxed) < self.shell.sessions {
            self.more.fetch_add(1, Ordering::Relaxed);
            let pool = Arc::clone(self);
            // One conversation is enough if the server admits no more.
            thread::spawn(move || drop(pool.begin()));
        }
    }

    pub fn forget(&self, objects: impl IntoIterator<Item = Id>) {
        let mut requests = held(&self.requests);
        objects.into_iter().for_each(|id| requests.forget(&id));
    }

    pub fn forget_all(&self) {
        held(&self.requests).forget_all();
    }

    /// Makes a conversation when there is none left. Reading can go on where it was: what an id means never changes.
    fn revive(self: &Arc<Self>) -> Result<(), Error> {
        let _one = held(&self.reviving);
        if held(&self.requests).sessions() > 0 {
            return Ok(());
        }
        let mut trouble = held(&self.last_trouble).take();
        if let Some(why) = &*held(&self.given_up) {
            return Err(trouble.unwrap_or_else(|| trouble::given_up(&self.server, why)));
        }
        let attempts = self.fruitless.load(Ordering::Relaxed);
        for pause in self.shell.pauses.iter().copied().skip(attempts) {
            self.fruitless.fetch_add(1, Ordering::Relaxed);
            let begin = Instant::now();
            while begin.elapsed() < pause {
                if self.is_stopped() {
                    return Err(Error::Cancelled);
                }
                thread::sleep(GLANCE.min(pause));
            }
            match self.begin() {
                Ok(_) => return Ok(()),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => trouble = Some(error),
            }
        }
        let trouble = trouble.unwrap_or_else(|| trouble::given_up(&self.server, "the connection was lost"));
        *held(&self.given_up) = Some(match &trouble {
            Error::Server { reason, .. } => reason.clone(),
            other => other.to_string(),
        });
        Err(trouble)
    }

    /// Ends all conversations.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let sessions = std::mem::take(&mut *held(&self.sessions));
        let interrupted = self.interrupt.as_ref().is_some_and(|wish| wish.load(Ordering::Relaxed));
        for session in sessions.into_values().filter(|_| interrupted) {
            session.hurry();
        }
    }
}
