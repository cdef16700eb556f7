//! A worker of the plane: its own thread reads its UDP socket, forwards, and sends; Python hears of the rest in batches.
//!
//! Each worker has a plane of its own, whole rooms of the server, and a socket of its own on the one port; what arrives
//! at the wrong one is handed over (`directory`). TCP connections of its rooms are its as well (`streams`). Media from
//! addresses and connections that Python has validated never meets Python. STUN, DTLS and media from strangers are queued
//! for it, and so is what leaves by routes that only Python knows; every queue is bounded. The thread never waits for Python: it takes its plane's lock for as
//! long as one batch takes, and gives way to callers that wait for it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use crate::directory::{lock, Directory, Parcel};
use crate::outbox::{Outbox, Route};
use crate::plane::{Dropped, Plane};
use crate::sender::{Failures, Sender};
use crate::slab::Key;
use crate::srtp::MAX_DATAGRAM;
use crate::streams::Streams;
use crate::system::{self, Inbox, BATCH};

const TICK: f64 = 0.02;
/// What is sealed is sent before there is more of it than the cache holds, but not so early that the packets of one
/// frame leave in several messages to each of many viewers: a message costs more than a cache miss.
const FLUSH: usize = 1 << 20;
const MOST_CONTROL: usize = 2048;
const MOST_STRANGERS: usize = 256;
const MOST_OTHERS: usize = 4096;

/// What waits for Python.
#[derive(Default)]
pub struct Upward {
    /// STUN and DTLS.
    pub control: VecDeque<(Route, Vec<u8>)>,
    /// Media from addresses that belong to no transport yet.
    pub strangers: VecDeque<(Route, Vec<u8>)>,
    /// What is to leave by a route that only Python knows.
    pub others: VecDeque<(u64, Vec<u8>)>,
    /// Connections that have ended.
    pub ended: Vec<u64>,
    /// An eventfd that Python waits on, while it does.
    wake: Option<RawFd>,
    signalled: bool,
}

/// What a worker's thread and Python share.
pub struct Shared {
    pub directory: Arc<Directory>,
    pub worker: usize,
    plane: Mutex<Plane>,
    streams: Mutex<Streams>,
    upward: Mutex<Upward>,
    refused: Mutex<Dropped>,
    waiting: AtomicU32,
    stopped: AtomicBool,
    serving: Mutex<Option<Serving>>,
}

struct Serving {
    fd: RawFd,
    sender: Sender,
    thread: Option<JoinHandle<()>>,
}

/// What a batch has for whom.
#[derive(Default)]
struct Sorted {
    /// Places in the inbox, and whose they are.
    mine: Vec<(usize, Key)>,
    /// What other workers own, by worker.
    theirs: Vec<Parcel>,
}

impl Shared {
    pub fn new(plane: Plane, directory: Arc<Directory>, worker: usize) -> io::Result<Self> {
        Ok(Shared {
            directory,
            worker,
            plane: Mutex::new(plane),
            streams: Mutex::new(Streams::new()?),
            upward: Mutex::default(),
            refused: Mutex::default(),
            waiting: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            serving: Mutex::new(None),
        })
    }

    /// Works on the plane, and sends what came of it where it serves a socket.
    pub fn with<R>(&self, work: impl FnOnce(&mut Plane) -> R) -> R {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut plane = lock(&self.plane);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let result = work(&mut plane);
        if plane.out.entries.is_empty() {
            return result;
        }
        // Serving is locked after the plane and before the plane is let go, so that datagrams keep their order.
        let mut present = lock(&self.serving);
        let Some(serving) = present.as_mut() else { return result };
        let out = std::mem::take(&mut plane.out);
        drop(plane);
        let fd = serving.fd;
        let failures = self.flush(&mut serving.sender, fd, &out);
        drop(present);
        self.count(failures);
        result
    }

    /// Hands the socket to a thread of the plane. `wake` is an eventfd that Python waits on.
    pub fn serve(self: &Arc<Self>, fd: RawFd, wake: RawFd) -> io::Result<()> {
        let mut serving = lock(&self.serving);
        if serving.is_some() {
            return Err(io::Error::other("the plane serves a socket already"));
        }
        self.stopped.store(false, Ordering::Release);
        lock(&self.upward).wake = Some(wake);
        let shared = Arc::clone(self);
        let name = format!("media {}", self.worker);
        let thread = thread::Builder::new().name(name).spawn(move || shared.run(fd))?;
        *serving = Some(Serving { fd, sender: Sender::new(fd), thread: Some(thread) });
        Ok(())
    }

    /// Ends the thread and closes its connections. The socket is the caller's again then.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.directory.mailboxes[self.worker].bell.ring();
        let thread = lock(&self.serving).as_mut().and_then(|serving| serving.thread.take());
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        *lock(&self.serving) = None;
        lock(&self.streams).clear();
        *lock(&self.upward) = Upward::default();
    }

    /// What was refused before the plane saw it, or could not be sent.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        lock(&self.refused).0.iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    /// What waits for Python.
    pub fn take_upward(&self) -> Upward {
        let mut upward = lock(&self.upward);
        let wake = upward.wake;
        std::mem::replace(&mut *upward, Upward { wake, ..Upward::default() })
    }

    /// Works on the connections, sends what came of it and tells of those that have ended.
    pub fn with_streams<R>(&self, work: impl FnOnce(&mut Streams) -> R) -> R {
        let mut streams = lock(&self.streams);
        let result = work(&mut streams);
        streams.write();
        self.tell(&mut streams);
        result
    }

    fn tell(&self, streams: &mut Streams) {
        for (number, reason) in streams.ended.drain(..) {
            if !reason.is_empty() {
                lock(&self.refused).count(reason);
            }
            let mut upward = lock(&self.upward);
            upward.ended.push(number);
            upward.signal();
        }
    }

    /// A datagram of Python's by one of the connections.
    pub fn send_stream(&self, number: u64, datagram: &[u8]) {
        if let Err(reason) = self.with_streams(|streams| streams.queue(number, datagram, true)) {
            lock(&self.refused).count(reason);
        }
    }

    // --- the thread -----------------------------------------------------------------------------

    fn run(&self, fd: RawFd) {
        let (mut inbox, mut sender, mut out) = (Inbox::default(), Sender::new(fd), Outbox::default());
        let (mut sorted, mut mail) = (Sorted::default(), Parcel::default());
        sorted.theirs.resize_with(self.directory.mailboxes.len(), Parcel::default);
        let mailbox = &self.directory.mailboxes[self.worker];
        let (streams, mut streaming) = (lock(&self.streams).fd(), true);
        let mut next_tick = system::monotonic();
        while !self.stopped.load(Ordering::Acquire) {
            let count = inbox.receive(fd);
            let now = system::monotonic();
            let turn = catch_unwind(AssertUnwindSafe(|| {
                self.sort(&mut inbox, count, &mut sorted);
                mailbox.take(&mut mail);
                if streaming {
                    self.read_streams(&mut mail);
                }
                let (own, all) = (sorted.mine.len(), sorted.mine.len() + mail.entries.len());
                let mut at = 0;
                while at < all || now >= next_tick {
                    self.give_way();
                    let mut plane = lock(&self.plane);
                    std::mem::swap(&mut plane.out, &mut out);
                    while at < all && plane.out.arena.len() < FLUSH {
                        if at < own {
                            let (place, key) = sorted.mine[at];
                            if let Some((datagram, _)) = inbox.datagram(place) {
                                plane.receive(Some(key), datagram, now);
                            }
                        } else {
                            let (key, start, end) = mail.entries[at - own];
                            plane.receive(Some(key), &mut mail.arena[start as usize..end as usize], now);
                        }
                        at += 1;
                    }
                    if at == all && now >= next_tick {
                        plane.tick(now);
                        next_tick = if now > next_tick + 1.0 { now + TICK } else { next_tick + TICK };
                    }
                    std::mem::swap(&mut plane.out, &mut out);
                    drop(plane);
                    let failures = self.flush(&mut sender, fd, &out);
                    out.clear();
                    self.count(failures);
                }
            }));
            if turn.is_err() {
                out.clear();
                next_tick = now + TICK;
                lock(&self.refused).count("internal");
            }
            streaming = true;
            if count < BATCH {
                let now = system::monotonic();
                [_, _, streaming] = system::wait_readable([fd, mailbox.bell.fd(), streams], next_tick - now);
            }
        }
    }

    /// Lets callers of the plane go first: the lock is not fair.
    fn give_way(&self) {
        for _ in 0..100 {
            if self.waiting.load(Ordering::Acquire) == 0 {
                return;
            }
            thread::yield_now();
        }
    }

    /// By the first byte (RFC 7983), and by whose the address is.
    fn sort(&self, inbox: &mut Inbox, count: usize, sorted: &mut Sorted) {
        sorted.mine.clear();
        if count == 0 {
            return;
        }
        let homes = self.directory.homes();
        for at in 0..count {
            let Some((datagram, from)) = inbox.datagram(at) else { continue };
            let refused = match datagram.first() {
                None => Some("empty"),
                Some(_) if datagram.len() > MAX_DATAGRAM => Some("oversized"),
                Some(128..=191) => match homes.get(&from) {
                    Some(home) => {
                        home.mark();
                        if home.worker == self.worker {
                            sorted.mine.push((at, home.transport));
                        } else {
                            sorted.theirs[home.worker].put(home.transport, datagram);
                        }
                        None
                    }
                    None => lock(&self.upward).stranger(Route::Udp(from), datagram),
                },
                Some(0..=3 | 20..=63) => lock(&self.upward).control(Route::Udp(from), datagram),
                Some(_) => Some("unknown protocol"),
            };
            if let Some(reason) = refused {
                lock(&self.refused).count(reason);
            }
        }
        drop(homes);
        for (parcel, mailbox) in sorted.theirs.iter_mut().zip(&self.directory.mailboxes) {
            if !parcel.entries.is_empty() {
                let lost = mailbox.put(parcel);
                lock(&self.refused).add("worker queue full", lost as u64);
            }
        }
    }

    /// What TCP connections have brought joins what other workers have handed over.
    fn read_streams(&self, mail: &mut Parcel) {
        let mut streams = lock(&self.streams);
        if streams.is_empty() {
            return;
        }
        streams.read(|number, transport, datagram| {
            let refused = match (datagram[0], transport) {
                (128..=191, Some(transport)) => {
                    mail.put(transport, datagram);
                    None
                }
                (128..=191, None) => lock(&self.upward).stranger(Route::Stream(number), datagram),
                (0..=3 | 20..=63, _) => lock(&self.upward).control(Route::Stream(number), datagram),
                _ => Some("unknown protocol"),
            };
            if let Some(reason) = refused {
                lock(&self.refused).count(reason);
            }
        });
        self.tell(&mut streams);
    }

    fn flush(&self, sender: &mut Sender, fd: RawFd, out: &Outbox) -> Failures {
        if out.entries.is_empty() {
            return Failures::default();
        }
        let mut streams: Option<MutexGuard<'_, Streams>> = None;
        let failures = sender.flush(fd, out, |entry, datagram| {
            let refused = match entry.route {
                Route::Udp(_) => None,
                Route::Stream(number) => {
                    let streams = streams.get_or_insert_with(|| lock(&self.streams));
                    streams.queue(number, datagram, !entry.picture).err()
                }
                Route::Handle(handle) => lock(&self.upward).other(handle, datagram),
            };
            if let Some(reason) = refused {
                lock(&self.refused).count(reason);
            }
        });
        if let Some(mut streams) = streams {
            streams.write();
            self.tell(&mut streams);
        }
        failures
    }

    fn count(&self, failures: Failures) {
        if failures.full + failures.failed > 0 {
            let mut refused = lock(&self.refused);
            refused.add("udp send buffer full", failures.full);
            refused.add("udp send failed", failures.failed);
        }
    }
}

/// All say why something was refused.
impl Upward {
    fn stranger(&mut self, from: Route, datagram: &[u8]) -> Option<&'static str> {
        if self.strangers.len() >= MOST_STRANGERS {
            return Some("media from stranger");
        }
        self.strangers.push_back((from, datagram.to_vec()));
        self.signal();
        None
    }

    fn control(&mut self, from: Route, datagram: &[u8]) -> Option<&'static str> {
        if self.control.len() >= MOST_CONTROL {
            return Some("control queue full");
        }
        self.control.push_back((from, datagram.to_vec()));
        self.signal();
        None
    }

    fn other(&mut self, handle: u64, datagram: &[u8]) -> Option<&'static str> {
        if self.others.len() >= MOST_OTHERS {
            return Some("event loop too slow");
        }
        self.others.push_back((handle, datagram.to_vec()));
        self.signal();
        None
    }

    fn signal(&mut self) {
        if let (Some(wake), false) = (self.wake, self.signalled) {
            self.signalled = true;
            system::signal(wake);
        }
    }
}
