//! Whose an address is, known to all workers, and the ways by which they hand datagrams to each other.
//!
//! The kernel spreads datagrams over the workers' sockets by their addresses, knowing nothing of rooms. A worker looks up
//! each batch under one read lock, keeps what is its own and hands the rest over, a batch at a time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::slab::Key;
use crate::system::Bell;

/// Datagrams that wait for one worker at most.
const MOST_HANDED: usize = 4096;

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who owns a validated address.
pub struct Home {
    pub worker: usize,
    pub transport: Key,
    /// Something came from it since it was last asked for.
    heard: AtomicBool,
}

impl Home {
    pub fn mark(&self) {
        if !self.heard.load(Ordering::Relaxed) {
            self.heard.store(true, Ordering::Relaxed);
        }
    }
}

pub type Homes = HashMap<SocketAddr, Home>;

/// See the module text.
pub struct Directory {
    homes: RwLock<Homes>,
    pub mailboxes: Vec<Mailbox>,
}

impl Directory {
    pub fn new(workers: usize) -> std::io::Result<Self> {
        let mailboxes = (0..workers).map(|_| Mailbox::new()).collect::<std::io::Result<_>>()?;
        Ok(Directory { homes: RwLock::default(), mailboxes })
    }

    pub fn homes(&self) -> RwLockReadGuard<'_, Homes> {
        self.homes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Homes) -> R) -> R {
        change(&mut self.homes.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// What comes from this address is that transport's, whosever it was.
    pub fn bind(&self, from: SocketAddr, worker: usize, transport: Key) {
        self.change(|homes| homes.insert(from, Home { worker, transport, heard: AtomicBool::new(true) }));
    }

    pub fn unbind(&self, from: &SocketAddr) {
        self.change(|homes| homes.remove(from));
    }

    /// Forgets all addresses of a transport.
    pub fn leave(&self, worker: usize, transport: Key) {
        self.change(|homes| homes.retain(|_, home| home.worker != worker || home.transport != transport));
    }

    /// Addresses of a worker's transports that something came from since the last call.
    pub fn heard(&self, worker: usize) -> Vec<(SocketAddr, Key)> {
        let homes = self.homes();
        let lately =
            homes.iter().filter(|(_, home)| home.worker == worker && home.heard.swap(false, Ordering::Relaxed));
        lately.map(|(from, home)| (*from, home.transport)).collect()
    }
}

/// Datagrams on their way from one worker to another.
#[derive(Default)]
pub struct Parcel {
    pub arena: Vec<u8>,
    pub entries: Vec<(Key, u32, u32)>,
}

impl Parcel {
    pub fn put(&mut self, transport: Key, datagram: &[u8]) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(datagram);
        self.entries.push((transport, start, self.arena.len() as u32));
    }

    pub fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
    }
}

/// What other workers have for one of them: bounded; the bell rings when there is something. `handed` counts.
pub struct Mailbox {
    waiting: Mutex<Parcel>,
    any: AtomicBool,
    pub handed: AtomicU64,
    pub bell: Bell,
}

impl Mailbox {
    fn new() -> std::io::Result<Self> {
        Ok(Mailbox {
            waiting: Mutex::default(),
            any: AtomicBool::new(false),
            handed: AtomicU64::new(0),
            bell: Bell::new()?,
        })
    }

    /// Takes over what the parcel has, which is empty then; how many datagrams there was no room for.
    pub fn put(&self, parcel: &mut Parcel) -> usize {
        let mut waiting = lock(&self.waiting);
        let count = parcel.entries.len();
        let taken = count.min(MOST_HANDED.saturating_sub(waiting.entries.len()));
        if waiting.entries.is_empty() && taken == count {
            std::mem::swap(&mut *waiting, parcel);
        } else {
            for (transport, start, end) in &parcel.entries[..taken] {
                waiting.put(*transport, &parcel.arena[*start as usize..*end as usize]);
            }
        }
        parcel.clear();
        self.handed.store(self.handed.load(Ordering::Relaxed) + taken as u64, Ordering::Relaxed);
        if !waiting.entries.is_empty() && !self.any.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
        count - taken
    }

    /// Everything that waits, in exchange for an empty parcel.
    pub fn take(&self, into: &mut Parcel) {
        into.clear();
        if self.any.load(Ordering::Acquire) {
            let mut waiting = lock(&self.waiting);
            self.any.store(false, Ordering::Release);
            self.bell.hush();
            std::mem::swap(&mut *waiting, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    fn key() -> Key {
        Slab::default().insert(())
    }

    fn parcel(count: usize) -> Parcel {
        let mut parcel = Parcel::default();
        for at in 0..count {
            parcel.put(key(), &(at as u32).to_be_bytes());
        }
        parcel
    }

    #[test]
    fn parcels_arrive_in_order_and_what_is_too_much_is_told() {
        let mailbox = Mailbox::new().unwrap();
        let mut taken = Parcel::default();
        mailbox.take(&mut taken);
        assert!(taken.entries.is_empty());
        let mut first = parcel(3000);
        assert_eq!(mailbox.put(&mut first), 0);
        assert!(first.entries.is_empty() && first.arena.is_empty());
        assert_eq!(mailbox.put(&mut parcel(1000)), 0);
        assert_eq!(mailbox.put(&mut parcel(100)), 4);
        mailbox.take(&mut taken);
        assert_eq!(taken.entries.len(), 4096);
        let (_, start, end) = taken.entries[3001];
        assert_eq!(taken.arena[start as usize..end as usize], 1u32.to_be_bytes());
        mailbox.take(&mut taken);
        assert!(taken.entries.is_empty());
    }

    #[test]
    fn an_address_has_one_home() {
        let directory = Directory::new(2).unwrap();
        let from: SocketAddr = "192.0.2.1:5".parse().unwrap();
        directory.bind(from, 0, key());
        directory.bind(from, 1, key());
        assert_eq!(directory.heard(0), []);
        assert_eq!(directory.heard(1), [(from, key())]);
        assert_eq!(directory.heard(1), []);
        directory.homes()[&from].mark();
        assert_eq!(directory.heard(1).len(), 1);
        directory.leave(0, key());
        assert_eq!(directory.homes().len(), 1);
        directory.leave(1, key());
        assert!(directory.homes().is_empty());
    }
}
