//! A worker of the plane: its own thread reads its UDP socket, forwards, and sends; Python hears of the rest in batches.
//!
//! Each worker has a plane of its own, whole rooms of the server, and a socket of its own on the one port; what arrives
//! at the wrong one is handed over (`directory`). Media from addresses that Python has validated never meets Python. STUN,
//! DTLS and media from strangers are queued for it, and so is what leaves by routes that are not UDP addresses (TCP
//! connections are Python's); every queue is bounded. The thread never waits for Python: it takes its plane's lock for as
//! long as one batch takes, and gives way to callers that wait for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::directory::{lock, Directory, Parcel};
use crate::outbox::Outbox;
use crate::plane::{Dropped, Plane};
use crate::sender::{Failures, Sender};
use crate::slab::Key;
use crate::srtp::MAX_DATAGRAM;
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
    pub control: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Media from addresses that belong to no transport yet.
    pub strangers: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What is to leave by a route that only Python knows.
    pub others: VecDeque<(u64, Vec<u8>)>,
    signalled: bool,
}

/// What a worker's thread and Python share.
pub struct Shared {
    pub directory: Arc<Directory>,
    pub worker: usize,
    plane: Mutex<Plane>,
    upward: Mutex<Upward>,
    refused: Mutex<Dropped>,
    waiting: AtomicU32,
    stopped: AtomicBool,
    serving: Mutex<Option<Serving>>,
}

struct Serving {
    fd: RawFd,
    wake: RawFd,
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
    pub fn new(plane: Plane, directory: Arc<Directory>, worker: usize) -> Self {
        Shared {
            directory,
            worker,
            plane: Mutex::new(plane),
            upward: Mutex::default(),
            refused: Mutex::default(),
            waiting: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            serving: Mutex::new(None),
        }
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
        let (wake, fd) = (serving.wake, serving.fd);
        let failures = self.flush(&mut serving.sender, fd, wake, &out);
        drop(present);
        self.count(failures);
        result
    }

    /// Hands the socket to a thread of the plane. `wake` is an eventfd that Python waits on.
    pub fn serve(self: &Arc<Self>, fd: RawFd, wake: RawFd) -> std::io::Result<()> {
        let mut serving = lock(&self.serving);
        if serving.is_some() {
            return Err(std::io::Error::other("the plane serves a socket already"));
        }
        self.stopped.store(false, Ordering::Release);
        let shared = Arc::clone(self);
        let name = format!("media {}", self.worker);
        let thread = thread::Builder::new().name(name).spawn(move || shared.run(fd, wake))?;
        *serving = Some(Serving { fd, wake, sender: Sender::new(fd), thread: Some(thread) });
        Ok(())
    }

    /// Ends the thread. The socket is the caller's again then.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.directory.mailboxes[self.worker].bell.ring();
        let thread = lock(&self.serving).as_mut().and_then(|serving| serving.thread.take());
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        *lock(&self.serving) = None;
    }

    /// What was refused before the plane saw it, or could not be sent.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        lock(&self.refused).0.iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    /// What waits for Python.
    pub fn take_upward(&self) -> Upward {
        std::mem::take(&mut lock(&self.upward))
    }

    // --- the thread -----------------------------------------------------------------------------

    fn run(&self, fd: RawFd, wake: RawFd) {
        let (mut inbox, mut sender, mut out) = (Inbox::default(), Sender::new(fd), Outbox::default());
        let (mut sorted, mut mail) = (Sorted::default(), Parcel::default());
        sorted.theirs.resize_with(self.directory.mailboxes.len(), Parcel::default);
        let mailbox = &self.directory.mailboxes[self.worker];
        let mut next_tick = system::monotonic();
        while !self.stopped.load(Ordering::Acquire) {
            let count = inbox.receive(fd);
            let now = system::monotonic();
            let turn = catch_unwind(AssertUnwindSafe(|| {
                self.sort(&mut inbox, count, &mut sorted, wake);
                mailbox.take(&mut mail);
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
                    let failures = self.flush(&mut sender, fd, wake, &out);
                    out.clear();
                    self.count(failures);
                }
            }));
            if turn.is_err() {
                out.clear();
                next_tick = now + TICK;
                lock(&self.refused).count("internal");
            }
            if count < BATCH {
                let now = system::monotonic();
                system::wait_readable(&[fd, mailbox.bell.fd()], next_tick - now);
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
    fn sort(&self, inbox: &mut Inbox, count: usize, sorted: &mut Sorted, wake: RawFd) {
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
                    None => lock(&self.upward).stranger(from, datagram, wake),
                },
                Some(0..=3 | 20..=63) => lock(&self.upward).control(from, datagram, wake),
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

    fn flush(&self, sender: &mut Sender, fd: RawFd, wake: RawFd, out: &Outbox) -> Failures {
        if out.entries.is_empty() {
            return Failures::default();
        }
        let mut lost = 0;
        let mut failures = sender.flush(fd, out, |handle, datagram| {
            let mut upward = lock(&self.upward);
            if upward.others.len() < MOST_OTHERS {
                upward.others.push_back((handle, datagram.to_vec()));
                upward.signal(wake);
            } else {
                lost += 1;
            }
        });
        failures.full += lost;
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

/// Both say why something was refused.
impl Upward {
    fn stranger(&mut self, from: SocketAddr, datagram: &[u8], wake: RawFd) -> Option<&'static str> {
        if self.strangers.len() >= MOST_STRANGERS {
            return Some("media from stranger");
        }
        self.strangers.push_back((from, datagram.to_vec()));
        self.signal(wake);
        None
    }

    fn control(&mut self, from: SocketAddr, datagram: &[u8], wake: RawFd) -> Option<&'static str> {
        if self.control.len() >= MOST_CONTROL {
            return Some("control queue full");
        }
        self.control.push_back((from, datagram.to_vec()));
        self.signal(wake);
        None
    }

    fn signal(&mut self, wake: RawFd) {
        if !self.signalled {
            self.signalled = true;
            system::signal(wake);
        }
    }
}
