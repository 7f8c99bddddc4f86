//! What has been taken from the outbox and is not done: which of it is on its way, and what must go again.
//!
//! The rules that keep incidents in order stand here. Messages are sent in the order in which they were taken; when a
//! producer is given up, everything it has not confirmed is sent again from the first on; and a message that may be the
//! one that Kafka refuses travels alone.

use std::collections::VecDeque;

use crate::store::Message;

/// Messages and bytes that may be on their way at a time.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// The number of the first entry. Numbers rise by one for each message that is taken.
    first: usize,
    /// The number of the next entry that is to be sent.
    next: usize,
    /// Payload bytes of the entries that were sent at least once.
    bytes: usize,
    /// Entries that are sent and not reported.
    in_flight: usize,
    /// The one in flight is a suspect.
    is_alone: bool,
}

struct Entry {
    message: Message,
    /// As last sent; 0 before.
    bytes: usize,
    state: State,
    /// It was in a batch that Kafka refused.
    is_suspect: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Sent,
    /// Kafka refused the batch in which it was.
    Refused(String),
    /// Kafka has it, or it is given up.
    Done,
}

impl Window {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether another message may be taken: there is room, and none of those taken waits to be sent.
    pub fn has_room(&self) -> bool {
        self.entries.len() < MOST
            && self.bytes < MOST_BYTES
            && self.next == self.first + self.entries.len()
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn push(&mut self, message: Message) {
        self.entries.push_back(Entry {
            message,
            bytes: 0,
            state: State::Waiting,
            is_suspect: false,
        });
    }

    /// The next message that may be sent now, and its number.
    pub fn next_to_send(&mut self) -> Option<(usize, &Message)> {
        while self.entry(self.next)?.state == State::Done {
            self.next += 1;
        }
        let next = self.next;
        let is_suspect = self.entry(next)?.is_suspect;
        if self.in_flight > 0 && (is_suspect || self.is_alone) {
            return None;
        }
        Some((next, &self.entry(next)?.message))
    }

    /// The one that [`next_to_send`](Self::next_to_send) gave is on its way.
    pub fn sent(&mut self, payload_bytes: usize) {
        let Some(entry) = self.entries.get_mut(self.next - self.first) else {
            return;
        };
        self.bytes = self.bytes - entry.bytes + payload_bytes;
        entry.bytes = payload_bytes;
        entry.state = State::Sent;
        self.is_alone = entry.is_suspect;
        self.in_flight += 1;
        self.next += 1;
    }

    /// Kafka has the message of this number. False if that was known.
    pub fn confirm(&mut self, number: usize) -> bool {
        self.report(number, State::Done)
    }

    /// Kafka refused the batch in which the message of this number was.
    pub fn refuse(&mut self, number: usize, reason: String) {
        self.report(number, State::Refused(reason));
    }

    fn report(&mut self, number: usize, state: State) -> bool {
        let index = number.checked_sub(self.first);
        let entry = index.and_then(|index| self.entries.get_mut(index));
        match entry.filter(|entry| entry.state == State::Sent) {
            Some(entry) => {
                entry.state = state;
                self.in_flight -= 1;
                true
            }
            None => false,
        }
    }

    /// The message of this number is given up.
    pub fn give_up(&mut self, number: usize) {
        if let Some(entry) = self.entries.get_mut(number - self.first) {
            entry.state = State::Done;
        }
    }

    /// Takes out what is done, up to the first that is not: how many.
    pub fn settle(&mut self) -> usize {
        let is_open = |entry: &Entry| entry.state != State::Done;
        let open = self.entries.iter().position(is_open);
        let done = open.unwrap_or(self.entries.len());
        let bytes: usize = self.entries.drain(..done).map(|entry| entry.bytes).sum();
        self.bytes -= bytes;
        self.first += done;
        self.next = self.next.max(self.first);
        done
    }

    /// The producer is given up: what it did not confirm is to be sent again. Gives how many have been sent before.
    pub fn restart(&mut self) -> usize {
        let mut again = 0;
        for entry in &mut self.entries {
            entry.is_suspect |= matches!(entry.state, State::Refused(_));
            if matches!(entry.state, State::Sent | State::Refused(_)) {
                entry.state = State::Waiting;
                again += 1;
            }
        }
        self.next = self.first;
        self.in_flight = 0;
        self.is_alone = false;
        again
    }

    /// How many are refused.
    pub fn refused(&self) -> usize {
        let is_refused = |entry: &&Entry| matches!(entry.state, State::Refused(_));
        self.entries.iter().filter(is_refused).count()
    }

    /// The one message that is refused, its number and why; `None` if there is none or if there are several, of which
    /// each may be to blame.
    pub fn culprit(&self) -> Option<(usize, Message, String)> {
        let mut refused = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| match &entry.state {
                State::Refused(reason) => {
                    Some((self.first + index, entry.message.clone(), reason.clone()))
                }
                _ => None,
            });
        let culprit = refused.next()?;
        refused.next().is_none().then_some(culprit)
    }

    fn entry(&self, number: usize) -> Option<&Entry> {
        self.entries.get(number.checked_sub(self.first)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::sink::tests::alert;

    fn window(messages: usize) -> Window {
        let mut window = Window::default();
        (0..messages).for_each(|number| window.push(alert(&number.to_string())));
        window
    }

    /// Sends whatever may be sent: the numbers.
    fn send(window: &mut Window) -> Vec<usize> {
        let mut numbers = Vec::new();
        while let Some((number, _)) = window.next_to_send() {
            window.sent(100);
            numbers.push(number);
        }
        numbers
    }

    #[test]
    fn what_is_not_confirmed_goes_again_in_order_and_what_is_confirmed_does_not() {
        let mut window = window(5);
        assert_eq!(send(&mut window), [0, 1, 2, 3, 4]);
        assert!(window.confirm(0) && window.confirm(1) && window.confirm(3));
        assert!(!window.confirm(1), "it is known");
        assert_eq!(window.settle(), 2);
        assert_eq!(window.restart(), 2);
        assert_eq!(send(&mut window), [2, 4]);
        assert!(window.confirm(2) && window.confirm(4));
        assert_eq!(window.settle(), 3);
        assert!(window.is_empty() && window.in_flight() == 0 && window.bytes == 0);
    }

    #[test]
    fn suspects_travel_alone() {
        let mut window = window(4);
        send(&mut window);
        window.refuse(1, "too large".into());
        window.refuse(2, "too large".into());
        assert_eq!((window.refused(), window.culprit()), (2, None));
        assert_eq!(window.restart(), 4);
        assert_eq!(send(&mut window), [0], "1 waits until nothing is before it");
        window.confirm(0);
        assert_eq!(send(&mut window), [1]);
        window.refuse(1, "too large".into());
        let (number, message, reason) = window.culprit().unwrap();
        assert_eq!((number, reason.as_str()), (1, "too large"));
        assert_eq!(message, alert("1"));
        window.give_up(1);
        window.restart();
        assert_eq!(send(&mut window), [2]);
        window.confirm(2);
        assert_eq!(window.settle(), 3);
        assert_eq!(send(&mut window), [3]);
    }

    #[test]
    fn it_is_bounded_by_messages_and_by_bytes() {
        let mut messages = window(MOST);
        assert!(!messages.has_room(), "nothing is sent");
        send(&mut messages);
        assert!(!messages.has_room());
        messages.confirm(0);
        assert!(!messages.has_room(), "the outbox has not moved on");
        messages.settle();
        assert!(messages.has_room());

        let mut bytes = window(1);
        bytes.next_to_send().unwrap();
        bytes.sent(MOST_BYTES);
        assert!(!bytes.has_room());
        bytes.restart();
        bytes.next_to_send().unwrap();
        bytes.sent(MOST_BYTES);
        bytes.confirm(0);
        bytes.settle();
        assert!(bytes.has_room() && bytes.bytes == 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take,
        Send,
        /// The first so many in flight on one of three partitions are confirmed.
        Confirm(usize, usize),
        /// The batch at the head of one partition is refused, of so many.
        Refuse(usize, usize),
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Take),
            3 => Just(Step::Send),
            3 => (0..3_usize, 1..4_usize).prop_map(|(partition, most)| Step::Confirm(partition, most)),
            1 => (0..3_usize, 1..4_usize).prop_map(|(partition, most)| Step::Refuse(partition, most)),
            1 => Just(Step::Restart),
        ]
    }

    proptest! {
        /// Partitions confirm in the order in which they were sent to, as idempotent producers see to. Then each gets
        /// its messages in order, none is done that is not confirmed or alone refused, and none is left.
        #[test]
        fn each_partition_gets_all_its_messages_in_order(steps in proptest::collection::vec(step(), 0..80)) {
            let mut window = Window::default();
            let (mut taken, mut done) = (0_usize, 0_usize);
            let mut flying: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
            let mut topic: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            let mut given_up = Vec::new();
            let finale = std::iter::repeat_n([Step::Send, Step::Confirm(0, 99), Step::Confirm(1, 99), Step::Confirm(2, 99)], 90);
            for step in steps.into_iter().chain(finale.flatten()) {
                let partition = |number: usize| number % 3;
                match step {
                    Step::Take => {
                        window.push(alert(&taken.to_string()));
                        taken += 1;
                    }
                    Step::Send => {
                        for number in send(&mut window) {
                            flying.entry(partition(number)).or_default().push_back(number);
                        }
                    }
                    Step::Confirm(on, most) => {
                        let flying = flying.entry(on).or_default();
                        for number in flying.drain(..most.min(flying.len())) {
                            prop_assert!(window.confirm(number));
                            topic.entry(on).or_default().push(number);
                        }
                    }
                    Step::Refuse(on, most) => {
                        let flying_here = flying.entry(on).or_default();
                        for number in flying_here.drain(..most.min(flying_here.len())) {
                            window.refuse(number, "refused".into());
                        }
                        flying.clear();
                        if let Some((number, _, _)) = window.culprit() {
                            window.give_up(number);
                            given_up.push(number);
                        }
                        window.restart();
                    }
                    Step::Restart => {
                        flying.clear();
                        window.restart();
                    }
                }
                done += window.settle();
                prop_assert!((0..done).all(|number| given_up.contains(&number)
                    || topic.get(&partition(number)).is_some_and(|topic| topic.contains(&number))));
            }
            prop_assert!(window.is_empty());
            prop_assert_eq!(done, taken);
            for numbers in topic.values() {
                prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
            }
        }
    }
}
