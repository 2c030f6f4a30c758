//! Places that callers hold while something of theirs is open: so many each, and so many in all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Places of one kind.
#[derive(Debug)]
pub(crate) struct Places {
    each: usize,
    all: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by: HashMap<String, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The caller has all that one caller may have.
    Caller(usize),
    /// All are taken.
    All(usize),
}

impl Full {
    /// Says so of what the places are for, and of the caller: `7 plans of user/alice are asked for`.
    pub fn told(self, what: &str, caller: &str, are: &str) -> String {
        match self {
            Self::Caller(limit) => format!("{limit} {what} of {caller} are {are}"),
            Self::All(limit) => format!("{limit} {what} are {are}"),
        }
    }
}

/// A place: whoever drops it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Places>,
    caller: String,
}

impl Places {
    /// So many places for each caller, and so many in all.
    pub fn new(each: usize, all: usize) -> Arc<Self> {
        Arc::new(Self { each, all, held: Mutex::default() })
    }

    /// Takes a place, if there is one.
    pub fn take(self: &Arc<Self>, caller: &str) -> Result<Place, Full> {
        let mut held = self.held();
        if held.all >= self.all {
            return Err(Full::All(self.all));
        }
        if held.of(caller) >= self.each {
            return Err(Full::Caller(self.each));
        }
        held.all += 1;
        *held.by.entry(caller.to_owned()).or_default() += 1;
        drop(held);
        Ok(Place { of: self.clone(), caller: caller.to_owned() })
    }

    /// How many a caller holds, and how many are held in all.
    pub fn taken(&self, caller: &str) -> (usize, usize) {
        let held = self.held();
        (held.of(caller), held.all)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn of(&self, caller: &str) -> usize {
        self.by.get(caller).copied().unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.of.held();
        held.all -= 1;
        let left = held.of(&self.caller) - 1;
        if left == 0 {
            // Callers who hold nothing are forgotten.
            held.by.remove(&self.caller);
        } else if let Some(count) = held.by.get_mut(&self.caller) {
            *count = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_so_many_and_all_together_so_many() {
        let places = Places::new(2, 3);
        let alice = [places.take("alice").unwrap(), places.take("alice").unwrap()];
        assert_eq!(places.take("alice").unwrap_err(), Full::Caller(2));
        let bob = places.take("bob").unwrap();
        assert_eq!(places.take("bob").unwrap_err(), Full::All(3));
        assert_eq!(places.taken("alice"), (2, 3));
        drop(alice);
        let again = [places.take("bob").unwrap(), places.take("alice").unwrap()];
        assert_eq!(places.taken("bob"), (2, 3));
        drop((bob, again));
        assert_eq!(places.taken("bob"), (0, 0));
        assert!(places.held().by.is_empty(), "callers who hold nothing are forgotten");
    }
}
