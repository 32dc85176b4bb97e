//! What was asked of a server and what came back, shared by those who ask and those who listen.
//!
//! Objects that will be wanted are asked for ahead, as long as what is on its way and what nobody has collected yet fits a
//! window of bytes. An object that somebody waits for is asked for at once, whatever the window holds. So nothing can get
//! stuck: at worst, what was asked for ahead is of no use, is dropped, and is asked for again by whoever wants it.

use std::collections::{HashMap, VecDeque};

use super::rpc::Refusal;
use crate::Id;

/// Bytes that are on their way or wait to be collected.
const WINDOW: u64 = 32 << 20;
/// Objects on their way, which matters where they are tiny.
const OBJECTS: usize = 256;
/// Where numbers go on after the last there is: above those of other requests.
const FIRST_AGAIN: u32 = 1 << 16;
/// What an object is taken for at least: small ones have their cost, too.
const LEAST: u32 = 512;

/// An object that was asked for.
#[derive(Debug)]
enum Slot {
    /// On its way; and whether somebody waits for it.
    Asked { is_wanted: bool },
    /// Here, and not yet collected.
    Here(Result<Vec<u8>, Refusal>),
}

/// Who is to be asked for what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// The number of the request.
    pub number: u32,
    pub session: usize,
    pub id: Id,
}

/// A request that is not answered yet.
#[derive(Debug)]
struct Flight {
    id: Id,
    size: u32,
    session: usize,
}

/// The state of all objects that were asked for.
#[derive(Debug, Default)]
pub(super) struct Requests {
    slots: HashMap<Id, Slot>,
    /// What is to be asked for when there is room.
    planned: VecDeque<(Id, u32)>,
    flights: HashMap<u32, Flight>,
    /// Bytes on their way from each session, as far as sizes are known.
    flying: Vec<u64>,
    /// Whether each session can be asked.
    alive: Vec<bool>,
    /// Bytes that wait to be collected.
    held: u64,
    last_number: u32,
}

/// What is known of an object that somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is here.
    Here(Result<Vec<u8>, Refusal>),
    /// It is on its way.
    OnItsWay,
    /// It has to be asked for.
    Ask(Order),
    /// There is nobody to ask.
    Nobody,
}

impl Requests {
    /// Numbers begin with `first`.
    pub fn from(first: u32) -> Self {
        Self { last_number: first, ..Self::default() }
    }

    /// Takes note of a session and returns its number. It is asked nothing before it is [`Requests::admit`]ted.
    pub fn join(&mut self) -> usize {
        self.flying.push(0);
        self.alive.push(false);
        self.alive.len() - 1
    }

    /// From now on a session can be asked: what is meant for it will reach it.
    pub fn admit(&mut self, session: usize) {
        self.alive[session] = true;
    }

    /// How many sessions can be asked.
    pub fn sessions(&self) -> usize {
        self.alive.iter().filter(|alive| **alive).count()
    }

    /// What will be wanted soon, in this order. Sizes are those in the repository.
    pub fn plan(&mut self, objects: impl IntoIterator<Item = (Id, u32)>) {
        self.planned.extend(objects);
    }

    /// Whether more is planned than there was room for.
    pub fn has_plans(&self) -> bool {
        !self.planned.is_empty()
    }

    /// Forgets that an object was planned, or drops it if nobody waits for it.
    pub fn forget(&mut self, id: &Id) {
        self.planned.retain(|(planned, _)| planned != id);
        match self.slots.get(id) {
            Some(Slot::Asked { is_wanted: true }) | None => {}
            Some(Slot::Asked { .. } | Slot::Here(_)) => drop(self.take(id)),
        }
    }

    /// Forgets what was planned and what nobody has collected.
    pub fn forget_all(&mut self) {
        self.planned.clear();
        self.slots.retain(|_, slot| matches!(slot, Slot::Asked { is_wanted: true }));
        self.held = 0;
    }

    /// Takes away an object, and its content if it is here.
    fn take(&mut self, id: &Id) -> Option<Result<Vec<u8>, Refusal>> {
        let Some(Slot::Here(content)) = self.slots.remove(id) else { return None };
        self.held -= content.as_ref().map_or(0, |content| content.len() as u64);
        Some(content)
    }

    /// What can be asked for now of what is planned.
    pub fn next(&mut self) -> Option<Order> {
        loop {
            let (id, size) = *self.planned.front()?;
            if self.slots.contains_key(&id) {
                self.planned.pop_front();
                continue;
            }
            let used = self.held + self.flying.iter().sum::<u64>();
            let fits = used == 0 || used + u64::from(size) <= WINDOW && self.flights.len() < OBJECTS;
            if !fits {
                return None;
            }
            let order = self.ask(id, size)?;
            self.planned.pop_front();
            self.slots.insert(id, Slot::Asked { is_wanted: false });
            return Some(order);
        }
    }

    /// Somebody wants this object now.
    pub fn look(&mut self, id: Id, size: u32) -> Look {
        match self.slots.get_mut(&id) {
            Some(Slot::Asked { is_wanted }) => {
                *is_wanted = true;
                Look::OnItsWay
            }
            Some(Slot::Here(_)) => self.take(&id).map_or(Look::OnItsWay, Look::Here),
            None => match self.ask(id, size) {
                Some(order) => {
                    self.slots.insert(id, Slot::Asked { is_wanted: true });
                    Look::Ask(order)
                }
                None => Look::Nobody,
            },
        }
    }

    fn ask(&mut self, id: Id, size: u32) -> Option<Order> {
        let alive = (0..self.alive.len()).filter(|session| self.alive[*session]);
        let session = alive.min_by_key(|session| self.flying[*session])?;
        // Long before they begin anew, those of the same number are answered.
        self.last_number = self.last_number.checked_add(1).unwrap_or(FIRST_AGAIN);
        let (number, size) = (self.last_number, size.max(LEAST));
        self.flying[session] += u64::from(size);
        self.flights.insert(number, Flight { id, size, session });
        Some(Order { number, session, id })
    }

    /// An answer arrived. False if nobody has asked for it, or not for that.
    pub fn arrive(&mut self, number: u32, result: Result<Vec<u8>, Refusal>) -> bool {
        let Some(flight) = self.flights.remove(&number) else { return false };
        self.flying[flight.session] -= u64::from(flight.size);
        let Some(Slot::Asked { is_wanted }) = self.slots.get(&flight.id) else { return true };
        let size = result.as_ref().map_or(0, |content| content.len() as u64);
        // Whatever a server sends, no more than this waits for somebody to come.
        if !is_wanted && self.held + size > 2 * WINDOW {
            self.slots.remove(&flight.id);
        } else {
            self.held += size;
            self.slots.insert(flight.id, Slot::Here(result));
        }
        true
    }

    /// A session is gone, and with it what it was asked for: who waits must ask again.
    pub fn leave(&mut self, session: usize) {
        self.alive[session] = false;
        self.flying[session] = 0;
        let slots = &mut self.slots;
        self.flights.retain(|_, flight| {
            if flight.session == session {
                slots.remove(&flight.id);
            }
            flight.session != session
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> Id {
        Id([number; 32])
    }

    const MIB: u32 = 1 << 20;

    impl Requests {
        fn admit_one(&mut self) -> usize {
            let session = self.join();
            self.admit(session);
            session
        }
    }

    fn asked(requests: &mut Requests) -> Vec<u8> {
        std::iter::from_fn(|| requests.next()).map(|order| order.id.0[0]).collect()
    }

    #[test]
    fn no_more_is_asked_for_ahead_than_the_window_holds() {
        let mut requests = Requests::default();
        requests.admit_one();
        requests.plan((1..=10).map(|number| (id(number), 8 * MIB)));
        assert_eq!(asked(&mut requests), [1, 2, 3, 4]);
        assert!(requests.arrive(1, Ok(vec![0; 8 << 20])));
        assert!(asked(&mut requests).is_empty(), "what is here and not collected takes its room");
        assert_eq!(requests.look(id(1), 0), Look::Here(Ok(vec![0; 8 << 20])));
        assert_eq!(asked(&mut requests), [5]);
    }

    #[test]
    fn tiny_objects_are_counted_one_by_one() {
        let mut requests = Requests::default();
        requests.admit_one();
        let many = (0..1000_u32).map(|number| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&number.to_le_bytes());
            (Id(id), 1)
        });
        requests.plan(many);
        assert_eq!(std::iter::from_fn(|| requests.next()).count(), OBJECTS);
    }

    #[test]
    fn who_waits_never_waits_for_the_window() {
        let mut requests = Requests::default();
        requests.admit_one();
        requests.plan((1..=4).map(|number| (id(number), 8 * MIB)));
        assert_eq!(asked(&mut requests), [1, 2, 3, 4]);
        assert!(matches!(requests.look(id(9), 8 * MIB), Look::Ask(_)));
        assert_eq!(requests.look(id(9), 0), Look::OnItsWay);
        assert_eq!(requests.look(id(2), 0), Look::OnItsWay);
    }

    #[test]
    fn what_nobody_collects_is_dropped() {
        let mut requests = Requests::default();
        requests.admit_one();
        requests.plan([(id(1), MIB), (id(2), MIB)]);
        assert_eq!(asked(&mut requests), [1, 2]);
        requests.arrive(1, Ok(vec![0; 10]));
        requests.forget_all();
        requests.arrive(2, Ok(vec![0; 10]));
        assert_eq!((requests.held, requests.slots.len(), requests.flying[0]), (0, 0, 0));
        assert!(matches!(requests.look(id(1), MIB), Look::Ask(_)));
    }

    #[test]
    fn a_server_that_sends_more_than_it_should_fills_no_memory() {
        let mut requests = Requests::default();
        requests.admit_one();
        requests.plan((1..=20).map(|number| (id(number), 1)));
        let orders: Vec<Order> = std::iter::from_fn(|| requests.next()).collect();
        for order in orders {
            requests.arrive(order.number, Ok(vec![0; 20 << 20]));
        }
        assert!(requests.held <= 2 * WINDOW);
        assert!(!requests.arrive(99, Ok(Vec::new())), "nobody has asked for this");
    }

    #[test]
    fn what_a_lost_session_owed_is_asked_of_another() {
        let mut requests = Requests::default();
        let (first, second) = (requests.admit_one(), requests.admit_one());
        let Look::Ask(order) = requests.look(id(1), MIB) else { panic!("it is not there yet") };
        assert_eq!(order.session, first);
        requests.leave(first);
        let Look::Ask(order) = requests.look(id(1), MIB) else { panic!("it was lost") };
        assert_eq!(order.session, second);
        requests.leave(second);
        assert_eq!(requests.look(id(1), MIB), Look::Nobody);
    }

    #[test]
    fn requests_are_dealt_out_among_the_sessions() {
        let mut requests = Requests::default();
        requests.admit_one();
        requests.admit_one();
        requests.plan((1..=4).map(|number| (id(number), MIB)));
        let sessions: Vec<usize> =
            std::iter::from_fn(|| requests.next()).map(|order| order.session).collect();
        assert_eq!(sessions, [0, 1, 0, 1]);
    }

    #[test]
    fn nobody_is_asked_who_could_not_hear_it_yet() {
        let mut requests = Requests::default();
        let session = requests.join();
        requests.plan([(id(1), MIB)]);
        assert_eq!((requests.next(), requests.look(id(2), MIB)), (None, Look::Nobody));
        requests.admit(session);
        assert_eq!(asked(&mut requests), [1]);
        assert!(matches!(requests.look(id(2), MIB), Look::Ask(_)));
    }
}
