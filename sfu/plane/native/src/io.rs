//! The plane at work: its own thread reads the UDP socket, forwards, and sends; Python hears of the rest in batches.
//!
//! Media from addresses that Python has validated never meets Python. STUN, DTLS and media from strangers are queued
//! for it, and so is what leaves by routes that are not UDP addresses (TCP connections are Python's); every queue is
//! bounded. The thread never waits for Python: it takes the plane's lock for as long as one batch takes, and gives way
//! to callers that wait for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::outbox::Outbox;
use crate::plane::Plane;
use crate::sender::{Failures, Sender};
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

/// What the plane's thread and Python share.
pub struct Shared {
    plane: Mutex<Plane>,
    upward: Mutex<Upward>,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(plane: Plane) -> Self {
        Shared {
            plane: Mutex::new(plane),
            upward: Mutex::default(),
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
        if failures.full + failures.failed > 0 {
            self.count(&mut lock(&self.plane), failures);
        }
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
        let thread = thread::Builder::new().name("media".to_owned()).spawn(move || shared.run(fd, wake))?;
        *serving = Some(Serving { fd, wake, sender: Sender::new(fd), thread: Some(thread) });
        Ok(())
    }

    /// Ends the thread. The socket is the caller's again then.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let thread = lock(&self.serving).as_mut().and_then(|serving| serving.thread.take());
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        *lock(&self.serving) = None;
    }

    /// What waits for Python.
    pub fn take_upward(&self) -> Upward {
        std::mem::take(&mut lock(&self.upward))
    }

    // --- the thread -----------------------------------------------------------------------------

    fn run(&self, fd: RawFd, wake: RawFd) {
        let (mut inbox, mut sender, mut out) = (Inbox::default(), Sender::new(fd), Outbox::default());
        let mut next_tick = system::monotonic();
        while !self.stopped.load(Ordering::Acquire) {
            let count = inbox.receive(fd);
            let now = system::monotonic();
            let turn = catch_unwind(AssertUnwindSafe(|| {
                let mut at = 0;
                while at < count || now >= next_tick {
                    self.give_way();
                    let mut plane = lock(&self.plane);
                    std::mem::swap(&mut plane.out, &mut out);
                    while at < count && plane.out.arena.len() < FLUSH {
                        self.sort(&mut plane, &mut inbox, at, now, wake);
                        at += 1;
                    }
                    if at == count && now >= next_tick {
                        plane.tick(now);
                        next_tick = if now > next_tick + 1.0 { now + TICK } else { next_tick + TICK };
                    }
                    std::mem::swap(&mut plane.out, &mut out);
                    drop(plane);
                    let failures = self.flush(&mut sender, fd, wake, &out);
                    out.clear();
                    if failures.full + failures.failed > 0 {
                        self.count(&mut lock(&self.plane), failures);
                    }
                }
            }));
            if turn.is_err() {
                out.clear();
                next_tick = now + TICK;
                lock(&self.plane).count_drop("internal");
            }
            if count < BATCH {
                let now = system::monotonic();
                system::wait_readable(fd, next_tick - now);
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

    /// By the first byte (RFC 7983).
    fn sort(&self, plane: &mut Plane, inbox: &mut Inbox, at: usize, now: f64, wake: RawFd) {
        let Some((datagram, from)) = inbox.datagram(at) else { return };
        match datagram.first() {
            None => plane.count_drop("empty"),
            Some(_) if datagram.len() > MAX_DATAGRAM => plane.count_drop("oversized"),
            Some(128..=191) => {
                if let Some((key, heard)) = plane.addresses.get_mut(&from) {
                    *heard = true;
                    let key = *key;
                    plane.receive(Some(key), datagram, now);
                    return;
                }
                let mut upward = lock(&self.upward);
                if upward.strangers.len() < MOST_STRANGERS {
                    upward.strangers.push_back((from, datagram.to_vec()));
                    upward.signal(wake);
                } else {
                    plane.count_drop("media from stranger");
                }
            }
            Some(0..=3 | 20..=63) => {
                let mut upward = lock(&self.upward);
                if upward.control.len() < MOST_CONTROL {
                    upward.control.push_back((from, datagram.to_vec()));
                    upward.signal(wake);
                } else {
                    plane.count_drop("control queue full");
                }
            }
            Some(_) => plane.count_drop("unknown protocol"),
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

    fn count(&self, plane: &mut Plane, failures: Failures) {
        *plane.dropped.0.entry("udp send buffer full").or_default() += failures.full;
        *plane.dropped.0.entry("udp send failed").or_default() += failures.failed;
    }
}

impl Upward {
    fn signal(&mut self, wake: RawFd) {
        if !self.signalled {
            self.signalled = true;
            system::signal(wake);
        }
    }
}
