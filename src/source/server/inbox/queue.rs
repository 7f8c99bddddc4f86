//! Deliveries that wait to be searched. Addresses have turns, so that nobody waits for more than one delivery of each other address,
//! however many that has handed in and however long they take: what is packed tightly costs its sender next to nothing.
//!
//! Nor do many addresses hold up one that is known well: those whose deliveries were quick to search go before those whose were slow,
//! or of whom nothing is known, but for half of the time.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;

/// Whose turn it is: an address, or all who have none together.
pub type Owner = Option<IpAddr>;

/// A delivery that takes longer is slow: 400 events that all touch a decoy take a tenth of it, a body of 48 MiB that was packed into
/// nothing fifty times as much.
const QUICK: Duration = Duration::from_millis(50);

/// One delivery more changes by such a part how long those of its owner take.
const WEIGHT: u32 = 8;

/// Owners that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

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
    /// None of them is empty, but perhaps that of who is served.
    waiting: HashMap<Owner, VecDeque<T>>,
    /// All of these but who is served, the next first: the quick, and the others.
    turns: [VecDeque<Owner>; 2],
    /// What both took, since both wait.
    spent: [Duration; 2],
    /// Who is served, and in which of the turns.
    served: Option<(Owner, usize)>,
    /// How long the deliveries of an owner take.
    known: LruCache<Owner, Duration>,
    /// The other end is gone.
    is_over: bool,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            turns: Default::default(),
            spent: Default::default(),
            served: None,
            known: LruCache::sparse(REMEMBERED),
            is_over: false,
        }
    }
}

impl<T> Line<T> {
    fn push(&mut self, owner: Owner, item: T) {
        let is_served = self.served.is_some_and(|(served, _)| served == owner);
        let mine = self.waiting.entry(owner).or_default();
        mine.push_back(item);
        if mine.len() == 1 && !is_served {
            self.give_turn(owner);
        }
    }

    fn give_turn(&mut self, owner: Owner) {
        let is_quick = self.known.peek(&owner).is_some_and(|took| *took <= QUICK);
        self.turns[usize::from(!is_quick)].push_back(owner);
    }

    fn next(&mut self) -> Option<T> {
        let [quick, others] = self.turns.each_ref().map(VecDeque::is_empty);
        if quick || others {
            // Nobody owes the time in which nobody else waited.
            self.spent = Default::default();
        }
        let turn = usize::from(quick || !others && self.spent[1] < self.spent[0]);
        let owner = self.turns[turn].pop_front()?;
        self.served = Some((owner, turn));
        self.waiting.get_mut(&owner)?.pop_front()
    }

    /// What was taken last took so long.
    fn done(&mut self, took: Duration) {
        let Some((owner, turn)) = self.served.take() else {
            return;
        };
        self.spent[turn] += took;
        let before = self.known.get(&owner).copied().unwrap_or(took);
        let known = (before * (WEIGHT - 1) + took) / WEIGHT;
        self.known.put(owner, known);
        if self.waiting.get(&owner).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&owner);
        } else {
            self.give_turn(owner);
        }
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
        line.push(owner, item);
        self.0.came.notify_one();
    }
}

impl<T> Drop for Back<T> {
    fn drop(&mut self) {
        self.0.line().is_over = true;
        self.0.came.notify_one();
    }
}

/// Where deliveries are taken: one, and then the next when that is [`done`](Self::done).
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

    /// What was taken last was searched, in such a time.
    pub fn done(&self, took: Duration) {
        self.0.line().done(took);
    }
}

impl<T> Drop for Front<T> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.is_over = true;
        line.turns = Default::default();
        let left = std::mem::take(&mut line.waiting);
        drop(line);
        // Whoever waits for these learns it.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(2);

    fn address(last: u8) -> Owner {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    /// All that waits, each of which takes as long as it says.
    fn taken(front: &Front<(&'static str, Duration)>) -> Vec<&'static str> {
        let next = || {
            let (name, took) = front.try_next()?;
            front.done(took);
            Some(name)
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn addresses_have_turns_and_each_its_order() {
        let (front, back) = queue();
        for (owner, item) in [
            (address(1), "a1"),
            (address(1), "a2"),
            (address(1), "a3"),
            (address(2), "b1"),
            (None, "u1"),
            (address(2), "b2"),
        ] {
            back.push(owner, (item, LONG));
        }
        assert_eq!(taken(&front), ["a1", "b1", "u1", "a2", "b2", "a3"]);
        back.push(None, ("u2", LONG));
        drop(back);
        assert!(front.wait().is_some_and(|(item, _)| item == "u2"));
        front.done(LONG);
        assert!(front.wait().is_none());
    }

    #[test]
    fn who_is_known_to_be_quick_waits_for_one_of_all_others() {
        let (front, back) = queue();
        back.push(address(1), ("known", SHORT));
        taken(&front);
        for last in 2..100 {
            back.push(address(last), ("flood", LONG));
        }
        assert!(front.try_next().is_some_and(|(item, _)| item == "flood"));
        back.push(address(1), ("quick", SHORT));
        back.push(address(1), ("quick", SHORT));
        front.done(LONG);
        assert_eq!(taken(&front)[..3], ["quick", "quick", "flood"]);
    }

    #[test]
    fn the_others_have_half_of_the_time() {
        let (front, back) = queue();
        back.push(address(1), ("known", SHORT));
        taken(&front);
        for _ in 0..100 {
            back.push(address(1), ("quick", QUICK));
            back.push(address(2), ("other", 2 * QUICK));
        }
        let taken = taken(&front);
        let others = taken[..30].iter().filter(|item| **item == "other");
        assert_eq!(others.count(), 10, "{taken:?}");
    }

    #[test]
    fn who_is_slow_for_once_is_not_yet_known_as_slow() {
        let (front, back) = queue();
        let is_first = |owner: Owner| {
            back.push(address(9), ("unknown", SHORT));
            back.push(owner, ("known", SHORT));
            let (first, took) = front.try_next().unwrap();
            front.done(took);
            taken(&front);
            first == "known"
        };
        back.push(address(1), ("known", SHORT));
        taken(&front);
        back.push(address(1), ("known", 4 * QUICK));
        taken(&front);
        assert!(is_first(address(1)));
        back.push(address(1), ("known", LONG));
        taken(&front);
        assert!(!is_first(address(1)));
    }

    #[test]
    fn what_comes_while_its_owner_is_served_has_one_turn() {
        let (front, back) = queue();
        back.push(None, ("1", SHORT));
        assert!(front.try_next().is_some());
        back.push(None, ("2", SHORT));
        assert!(front.try_next().is_none());
        back.push(None, ("3", SHORT));
        front.done(SHORT);
        assert_eq!(taken(&front), ["2", "3"]);
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
