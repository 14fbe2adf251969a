//! Statements under way on one connection. A server answers them in the order in which they were sent, so the first of
//! them is the one that it runs, and the one that an order to stop ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Flights {
    state: Mutex<State>,
    /// Ends what the server runs on this connection.
    stop: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    next: u64,
    under_way: VecDeque<Entry>,
    left: bool,
    shared: bool,
}

struct Entry {
    number: u64,
    left: bool,
}

impl Flights {
    pub fn new(stop: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), stop: Box::new(stop) })
    }

    /// To be called for each message where it is sent, so that the order is about that of the wire. Where two threads
    /// change places, a stop comes late by as long as the one takes that is first on the wire.
    pub fn depart(self: &Arc<Self>) -> Flight {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.shared = !state.under_way.is_empty();
        state.under_way.push_back(Entry { number, left: false });
        drop(state);
        Flight { flights: self.clone(), number, landed: false }
    }

    pub fn under_way(&self) -> usize {
        self.state().under_way.len()
    }

    /// Whether somebody did not wait for his answer: what an order to stop hits, and when, is not known any more, so
    /// nothing new may be sent on this connection.
    pub fn were_left(&self) -> bool {
        self.state().left
    }

    /// Whether the last one to depart had company: then what ended the connection may have been another's.
    pub fn were_shared(&self) -> bool {
        self.state().shared
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One statement. Dropped before it has landed, it is stopped as soon as the server comes to it: MySQL does not notice
/// that a client has gone until it has rows to send, and PostgreSQL not even then at once.
pub(super) struct Flight {
    flights: Arc<Flights>,
    number: u64,
    landed: bool,
}

impl Flight {
    /// The server is done with it.
    pub fn land(mut self) {
        self.landed = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.flights.state();
        if self.landed {
            state.under_way.retain(|entry| entry.number != self.number);
        } else if let Some(entry) = state.under_way.iter_mut().find(|entry| entry.number == self.number) {
            entry.left = true;
            state.left = true;
        }
        // An order for each: the one that the server runs, and those that it comes to before one that is waited for.
        let mut stops = 0;
        while state.under_way.pop_front_if(|first| first.left).is_some() {
            stops += 1;
        }
        drop(state);
        for _ in 0..stops {
            (self.flights.stop)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counting() -> (Arc<Flights>, Arc<AtomicUsize>) {
        let stops = Arc::new(AtomicUsize::new(0));
        let counted = stops.clone();
        let count = move || {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        (Flights::new(count), stops)
    }

    #[test]
    fn what_landed_stops_nothing() {
        let (flights, stops) = counting();
        let (first, second) = (flights.depart(), flights.depart());
        assert_eq!(flights.under_way(), 2);
        first.land();
        second.land();
        assert_eq!((flights.under_way(), flights.were_left()), (0, false));
        assert_eq!(stops.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn the_first_is_stopped_at_once_and_another_when_the_server_comes_to_it() {
        let (flights, stops) = counting();
        drop(flights.depart());
        assert_eq!((stops.load(Ordering::SeqCst), flights.were_left()), (1, true));

        let (flights, stops) = counting();
        let (first, second, third) = (flights.depart(), flights.depart(), flights.depart());
        drop(second);
        assert_eq!(
            (stops.load(Ordering::SeqCst), flights.were_left()),
            (0, true),
            "the first must not be hit"
        );
        third.land();
        assert_eq!(stops.load(Ordering::SeqCst), 0);
        first.land();
        assert_eq!(stops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn each_that_was_left_is_stopped_though_somebody_waits_behind() {
        let (flights, stops) = counting();
        let (first, second, third) = (flights.depart(), flights.depart(), flights.depart());
        drop((first, second));
        assert_eq!((stops.load(Ordering::SeqCst), flights.under_way()), (2, 1));
        third.land();

        let (flights, stops) = counting();
        let (first, second, third) = (flights.depart(), flights.depart(), flights.depart());
        let last = flights.depart();
        drop((second, third));
        assert_eq!(stops.load(Ordering::SeqCst), 0);
        first.land();
        assert_eq!((stops.load(Ordering::SeqCst), flights.under_way()), (2, 1));
        last.land();
        assert_eq!(stops.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn company_is_what_was_there_at_the_time() {
        let (flights, _) = counting();
        let (first, second) = (flights.depart(), flights.depart());
        assert!(flights.were_shared());
        first.land();
        second.land();
        assert!(flights.were_shared(), "both may still ask");
        flights.depart().land();
        assert!(!flights.were_shared());
    }
}
