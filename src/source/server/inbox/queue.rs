//! Deliveries that wait to be searched. Addresses have turns, so that nobody waits for more than one delivery of each other address,
//! however many that has handed in and however long they take: what is packed tightly costs its sender next to nothing.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Whose turn it is: an address, or all who have none together.
pub type Owner = Option<IpAddr>;

/// A queue of `T`: its two ends.
pub fn queue<T>() -> (Front<T>, Back<T>) {
    let waiting = Arc::new(Waiting {
        line: Mutex::default(),
        came: Condvar::new(),
    });
    (Front(Arc::clone(&waiting)), Back(waiting))
}

struct Waiting<T> {
    line: Mutex<Line<T>>,
    came: Condvar,
}

struct Line<T> {
    /// None of them is empty.
    waiting: HashMap<Owner, VecDeque<T>>,
    /// All of these, the next first.
    turns: VecDeque<Owner>,
    /// The other end is gone.
    is_over: bool,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            is_over: false,
        }
    }
}

impl<T> Line<T> {
    fn next(&mut self) -> Option<T> {
        let owner = self.turns.pop_front()?;
        let mine = self.waiting.get_mut(&owner)?;
        let first = mine.pop_front();
        if mine.is_empty() {
            self.waiting.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        first
    }
}

impl<T> Waiting<T> {
    fn line(&self) -> MutexGuard<'_, Line<T>> {
        // What it guards is sound after each step.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where deliveries are handed in. It ends when it is dropped.
pub struct Back<T>(Arc<Waiting<T>>);

impl<T> Back<T> {
    /// What nobody is there to take is dropped.
    pub fn push(&self, owner: Owner, item: T) {
        let mut line = self.0.line();
        if line.is_over {
            return;
        }
        let mine = line.waiting.entry(owner).or_default();
        mine.push_back(item);
        if mine.len() == 1 {
            line.turns.push_back(owner);
        }
        self.0.came.notify_one();
    }
}

impl<T> Drop for Back<T> {
    fn drop(&mut self) {
        self.0.line().is_over = true;
        self.0.came.notify_one();
    }
}

/// Where deliveries are taken.
pub struct Front<T>(Arc<Waiting<T>>);

impl<T> Front<T> {
    /// The next, which is waited for; `None` if no other comes.
    pub fn wait(&self) -> Option<T> {
        let mut line = self.0.line();
        loop {
            if let Some(next) = line.next() {
                return Some(next);
            }
            if line.is_over {
                return None;
            }
            let woken = self.0.came.wait(line);
            line = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next, if it is there.
    pub fn try_next(&self) -> Option<T> {
        self.0.line().next()
    }
}

impl<T> Drop for Front<T> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.is_over = true;
        line.turns.clear();
        let left = std::mem::take(&mut line.waiting);
        drop(line);
        // Whoever waits for these learns it.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_turns_and_each_its_order() {
        let (front, back) = queue();
        let address = |last| Some(IpAddr::from([10, 0, 0, last]));
        for (owner, item) in [
            (address(1), "a1"),
            (address(1), "a2"),
            (address(1), "a3"),
            (address(2), "b1"),
            (None, "u1"),
            (address(2), "b2"),
        ] {
            back.push(owner, item);
        }
        let first: Vec<_> = (0..4).map_while(|_| front.try_next()).collect();
        assert_eq!(first, ["a1", "b1", "u1", "a2"]);
        back.push(None, "u2");
        drop(back);
        let rest: Vec<_> = std::iter::from_fn(|| front.wait()).collect();
        assert_eq!(rest, ["b2", "a3", "u2"]);
    }

    #[test]
    fn what_is_left_is_dropped_with_who_takes_it() {
        let (front, back) = queue();
        let item = Arc::new(());
        back.push(None, Arc::clone(&item));
        drop(front);
        back.push(None, Arc::clone(&item));
        assert_eq!(Arc::strong_count(&item), 1);
    }
}
