//! Parts of files as the kernel has them in memory: looked at without a copy.
//!
//! Whoever maps a file is killed by SIGBUS when it touches a page that is not there: somebody made the file shorter, or the disk
//! failed. Here a handler puts zeros in the place of such a part and notes it; whoever looked forgets what it saw, and reads.
//! (journald does the same with its files.) A SIGBUS that is not ours goes where it went before.

use std::{
    ffi::{c_int, c_void},
    fs::File,
    io, mem, ptr, slice,
    sync::{
        OnceLock,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

/// Parts that may be mapped at a time: one for each thread. Who gets none reads.
const MAPPINGS: usize = 64;

/// Mappings begin at such places. No system has larger pages.
const ALIGNMENT: u64 = 64 << 10;

/// Bytes of a large page. A file that lies in such pages is mapped by the page, if a mapping has all of it; else by pieces, each of
/// which is a fault of its own.
pub(super) const LARGE_PAGE_BYTES: u64 = 2 << 20; // 2 MiB

/// What the handler knows of a mapping.
struct Entry {
    is_taken: AtomicBool,
    /// 0 while there is none.
    start: AtomicUsize,
    length: AtomicUsize,
    /// A part of it was not there.
    is_broken: AtomicBool,
}

static ENTRIES: [Entry; MAPPINGS] = [const {
    Entry {
        is_taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        length: AtomicUsize::new(0),
        is_broken: AtomicBool::new(false),
    }
}; MAPPINGS];

/// What was done with SIGBUS before; `None` if it cannot be caught.
static BEFORE: OnceLock<Option<libc::sigaction>> = OnceLock::new();

/// A part of a file, in memory.
pub(super) struct Mapped {
    /// From here on `length` bytes are mapped, or zeros, until this is dropped.
    start: *mut c_void,
    length: usize,
    /// What of it stands before what was asked for.
    lead: usize,
    entry: &'static Entry,
}

impl Mapped {
    /// `length` bytes of `file`, more than none, from `at` on. Those behind its end look like zeros, and break it.
    ///
    /// # Errors
    /// If they cannot be mapped: not all that can be read can.
    pub fn new(file: &File, at: u64, length: usize) -> io::Result<Self> {
        if !is_caught() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let is_free = |entry: &&Entry| !entry.is_taken.swap(true, Acquire);
        let entry = ENTRIES.iter().find(is_free);
        let entry = entry.ok_or(io::ErrorKind::ResourceBusy)?;
        // Less than the alignment.
        let lead = (at % ALIGNMENT) as usize;
        let length = length + lead;
        let (protection, flags) = (ProtFlags::READ, MapFlags::SHARED);
        // SAFETY: the kernel chooses the place, so nothing that is in use is mapped over.
        let mapped = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                flags,
                file,
                at - lead as u64,
            )
        };
        let start = mapped.inspect_err(|_| entry.is_taken.store(false, Release))?;
        // SAFETY: it is the mapping, and stays as it is; it is only told that it is read from one end to the other.
        let _ = unsafe { madvise(start, length, Advice::Sequential) };
        entry.is_broken.store(false, Relaxed);
        entry.length.store(length, Release);
        entry.start.store(start.addr(), Release);
        Ok(Self {
            start,
            length,
            lead,
            entry,
        })
    }

    /// The bytes, for a look. Somebody may write to the file at that time: what is found must be read before it is believed.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start..start + length` is mapped for as long as `self` lives, and can be read, since the handler puts zeros
        // where it cannot. As with any file that is mapped, another process may change the bytes under a look; whoever looks
        // takes no more from them than places, none of which leads out of the slice.
        let all = unsafe { slice::from_raw_parts(self.start.cast::<u8>(), self.length) };
        &all[self.lead..]
    }

    /// Whether a part that was looked at was not there, and looked like zeros.
    pub fn is_broken(&self) -> bool {
        self.entry.is_broken.load(Acquire)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.entry.start.store(0, Release);
        // SAFETY: nobody else knows of the mapping, and no slice outlives `self`.
        let _ = unsafe { munmap(self.start, self.length) };
        self.entry.is_taken.store(false, Release);
    }
}

/// Whether SIGBUS is caught, from now on.
fn is_caught() -> bool {
    let before = BEFORE.get_or_init(|| {
        // SAFETY: all zeros is an action: the default one, that blocks nothing.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: as above.
        let mut before = unsafe { mem::zeroed() };
        // SAFETY: both are actions; the handler does only what may be done in one.
        let set = unsafe { libc::sigaction(libc::SIGBUS, &action, &mut before) };
        (set == 0).then_some(before)
    });
    before.is_some()
}

/// The handler. It loads and stores atomics and makes system calls, and thus may interrupt anything.
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel gives what it knows of the signal.
    let (address, is_fault) = unsafe { ((*info).si_addr().addr(), (*info).si_code > 0) };
    let broken = ENTRIES.iter().find_map(|entry| {
        let start = entry.start.load(Acquire);
        let length = entry.length.load(Acquire);
        // Or the length is that of the next mapping.
        let is_one = start > 0 && entry.start.load(Acquire) == start;
        let is_within = (start..start.checked_add(length)?).contains(&address);
        (is_one && is_within).then_some((entry, start, length))
    });
    if let Some((entry, start, length)) = broken.filter(|_| is_fault) {
        entry.is_broken.store(true, Release);
        let place = ptr::without_provenance_mut(start);
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: this is a whole mapping, which only `Mapped` knows, and unmaps as it is. It is not unmapped now, since the
        // thread that looks at it stands here. rustix makes the call without a detour, and changes no `errno`.
        let zeros = unsafe { mmap_anonymous(place, length, ProtFlags::READ, flags) };
        if zeros.is_ok() {
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Does what was done with the signal before: most often that is the end.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = BEFORE.get().and_then(Option::as_ref);
    match before {
        Some(before) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction) => {
            // SAFETY: what is neither of these is a function that was given as a handler, of the kind that the flag tells.
            unsafe {
                if before.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                        mem::transmute(before.sa_sigaction);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(c_int) = mem::transmute(before.sa_sigaction);
                    handler(signal);
                }
            }
        }
        // SAFETY: both may be called in a handler. The signal waits until it returns.
        _ => unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::NamedTempFile;

    use super::*;

    fn file(length: usize) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8 + 1).collect();
        file.write_all(&bytes).unwrap();
        file
    }

    #[test]
    fn a_part_is_what_the_file_has_there() {
        let file = file(300_000);
        let all = std::fs::read(file.path()).unwrap();
        for (at, length) in [
            (0, 300_000),
            (1, 1),
            (65_535, 70_000),
            (65_536, 1),
            (200_001, 99_999),
        ] {
            let mapped = Mapped::new(file.as_file(), at as u64, length).unwrap();
            assert!(mapped.bytes() == &all[at..at + length], "{at} {length}");
            assert!(!mapped.is_broken());
        }
    }

    #[test]
    fn a_file_that_is_made_shorter_while_it_is_mapped_is_broken_and_kills_nobody() {
        let shorter = file(300_000);
        let mapped = Mapped::new(shorter.as_file(), 0, 300_000).unwrap();
        let other = file(10_000);
        let whole = Mapped::new(other.as_file(), 0, 10_000).unwrap();
        assert_eq!(mapped.bytes()[299_999], (299_999 % 251) as u8 + 1);
        shorter.as_file().set_len(100_000).unwrap();
        assert_eq!(mapped.bytes()[99_999], (99_999 % 251) as u8 + 1);
        assert!(!mapped.is_broken());
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        assert_eq!(sum(&mapped.bytes()[110_000..]), 0);
        assert!(mapped.is_broken());
        assert!(sum(whole.bytes()) > 0 && !whole.is_broken());
        drop(mapped);
        // What was broken is used again.
        let mapped = Mapped::new(other.as_file(), 0, 10_000).unwrap();
        assert!(sum(mapped.bytes()) == sum(whole.bytes()) && !mapped.is_broken());
    }
}
