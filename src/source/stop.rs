//! Asks a source to stop, and wakes it if it waits.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};
use tokio::net::unix::pipe::Receiver;

/// A switch that is thrown once. Clones are the same switch.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Switch>);

#[derive(Debug)]
struct Switch {
    thrown: AtomicBool,
    /// Becomes readable when the switch is thrown, and stays so: nobody reads it.
    readable: OwnedFd,
    writable: OwnedFd,
}

impl Stop {
    /// # Errors
    /// If the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (readable, writable) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Switch {
            thrown: AtomicBool::new(false),
            readable,
            writable,
        })))
    }

    /// Stops every source that was given this switch, at once.
    pub fn trigger(&self) {
        if !self.0.thrown.swap(true, Ordering::SeqCst) {
            // One byte always fits into an empty pipe, and both ends are open as long as `self` is.
            let _ = rustix::io::write(&self.0.writable, &[1]);
        }
    }

    pub fn is_triggered(&self) -> bool {
        self.0.thrown.load(Ordering::Relaxed)
    }

    /// Sleeps for `time`, or until stopped. True if stopped.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        // An error is a time out of range, which the callers' constants and limits exclude, or a signal.
        let _ = self.poll(None, Timespec::try_from(time).ok().as_ref());
        self.is_triggered()
    }

    /// Reads what is there, and waits if there is nothing yet. 0 at the end; `None` if stopped.
    pub(crate) fn read(&self, input: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<Option<usize>> {
        while self.wait_readable(input)? {
            match rustix::io::read(input, &mut *into) {
                // Whoever shares standard input may have made it non-blocking.
                Err(Errno::INTR | Errno::AGAIN) => {}
                read => return Ok(Some(read?)),
            }
        }
        Ok(None)
    }

    /// Waits until `descriptor` can be read, or is at its end. False if stopped.
    fn wait_readable(&self, descriptor: BorrowedFd<'_>) -> io::Result<bool> {
        loop {
            match self.poll(Some(descriptor), None) {
                Ok(()) => return Ok(!self.is_triggered()),
                // A signal: nothing is known to be readable.
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns when stopped. For tasks of a runtime with IO.
    ///
    /// # Errors
    /// If the process has no file descriptors left, or the runtime cannot wait for one.
    pub(crate) async fn stopped(&self) -> io::Result<()> {
        let readable = self.0.readable.try_clone()?;
        Receiver::from_owned_fd(readable)?.readable().await
    }

    fn poll(
        &self,
        descriptor: Option<BorrowedFd<'_>>,
        time: Option<&Timespec>,
    ) -> Result<(), Errno> {
        let stop = self.0.readable.as_fd();
        let mut descriptors = [
            PollFd::from_borrowed_fd(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(descriptor.unwrap_or(stop), PollFlags::IN),
        ];
        poll(&mut descriptors, time).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn wakes_a_sleeper_and_stays_thrown() {
        let stop = Stop::new().unwrap();
        let sleeper = {
            let stop = stop.clone();
            thread::spawn(move || stop.sleep(Duration::from_secs(3600)))
        };
        stop.trigger();
        stop.trigger();
        assert!(sleeper.join().unwrap());
        assert!(stop.sleep(Duration::from_secs(3600)));
    }

    #[tokio::test]
    async fn a_task_is_woken_like_a_thread() {
        let stop = Stop::new().unwrap();
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.stopped().await }
        });
        tokio::task::yield_now().await;
        stop.trigger();
        waiting.await.unwrap().unwrap();
        stop.stopped().await.unwrap();
    }

    #[test]
    fn a_sleep_ends_by_itself() {
        let stop = Stop::new().unwrap();
        let began = Instant::now();
        assert!(!stop.sleep(Duration::from_millis(10)));
        assert!(began.elapsed() >= Duration::from_millis(10));
    }
}
