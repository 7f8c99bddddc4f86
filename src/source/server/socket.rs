//! Sockets that listen: TCP and Unix.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use rustix::{
    net::{
        listen as listen_on,
        sockopt::{set_socket_keepalive, set_socket_recv_buffer_size, set_tcp_keepidle},
    },
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

use super::{Address, Listen, Stream};

/// Connections that may wait to be accepted, if the system allows as many. The standard library's 128 are full after a burst, and
/// whoever finds them full waits a second before it tries again: of 5,000 one after the other that took 19 s in place of 1.
const BACKLOG: i32 = 4096;

pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// Listens, and says where. Must be called within a runtime.
    pub(super) fn bind(listen: &Listen) -> io::Result<(Self, Address)> {
        match &listen.address {
            Address::Socket(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                if let Some(bytes) = listen.receive_buffer_bytes {
                    // What it accepts has the same.
                    set_socket_recv_buffer_size(&listener, bytes)?;
                }
                listen_on(&listener, BACKLOG)?;
                listener.set_nonblocking(true)?;
                let address = Address::Socket(listener.local_addr()?);
                Ok((Self::Tcp(TcpListener::from_std(listener)?), address))
            }
            Address::Unix(path) => {
                remove_stale(path);
                Ok((
                    Self::Unix(UnixListener::bind(path)?),
                    listen.address.clone(),
                ))
            }
        }
    }

    /// The next connection, and who it is of.
    pub(super) async fn accept(
        &self,
        keepalive: Option<Duration>,
    ) -> io::Result<(Stream, Arc<str>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // An answer is one small write, and somebody waits for it.
                let _ = stream.set_nodelay(true);
                if let Some(time) = keepalive {
                    // A peer that is gone is then found out when it is written to.
                    let _ = set_socket_keepalive(&stream, true);
                    let _ = set_tcp_keepidle(&stream, time);
                }
                Ok((Box::new(stream), peer.to_string().into()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), "unix".into()))
            }
        }
    }
}

/// Takes away the socket of a process that is gone: nobody answers there.
fn remove_stale(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let is_dead = || std::os::unix::net::UnixStream::connect(path).is_err_and(is_refused);
    if is_socket && is_dead() {
        // If it stays, bind says so.
        let _ = fs::remove_file(path);
    }
}

/// What to do when nobody can listen.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "write another address, or stop who listens there",
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; write one that it has, or 0.0.0.0 for all"
        }
        io::ErrorKind::PermissionDenied => {
            "write a port above 1023, or a path that this user may write to"
        }
        _ => "write another address",
    }
}

/// Files that connections leave to the rest of the program, or half of all where there are fewer than twice as many: what is found
/// is stored in files, and without it nobody is answered.
const SPARE_FILES: u64 = 64;

/// The files that connections may take, those of all sources together.
pub(super) fn files() -> Arc<Semaphore> {
    static FILES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
        let all = raise_file_limit().unwrap_or(u64::MAX);
        let most = usize::try_from(all - SPARE_FILES.min(all / 2)).unwrap_or(usize::MAX);
        Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
    });
    Arc::clone(&FILES)
}

/// Each connection is a file, and 1,024 is what many systems begin with. As Go's programs do, all that may be had is taken.
///
/// How many that are; `None` if there is no limit.
fn raise_file_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    match current == maximum || setrlimit(Resource::Nofile, all).is_ok() {
        true => maximum,
        // Then it stays as it is.
        false => current,
    }
}
