//! From an outbox to the socket: what goes to one address goes together, segments of one size as one message.

use std::io;
use std::os::fd::RawFd;

use crate::outbox::{Entry, Outbox, Route};
use crate::system::{self, Address, Message};

/// The kernel takes so many segments, and bytes, in a message at most.
const SEGMENTS: usize = 64;
const OCTETS: u32 = 60_000;

const NOWHERE: u32 = u32::MAX;

struct Group {
    route: Route,
    pieces: Vec<(u32, u32)>,
}

/// What could not be sent.
#[derive(Default, Clone, Copy)]
pub struct Failures {
    pub full: u64,
    pub failed: u64,
}

/// Buffers of one sending thread, and whether segmentation works.
#[derive(Default)]
pub struct Sender {
    segments: bool,
    places: Vec<u32>,
    groups: Vec<Group>,
    used: usize,
    pieces: Vec<(u32, u32)>,
    messages: Vec<Message>,
    addresses: Vec<Address>,
}

impl Sender {
    pub fn new(fd: RawFd) -> Self {
        Sender { segments: system::segments(fd), ..Sender::default() }
    }

    /// Sends everything that goes to UDP addresses; the rest is handed to `other`.
    pub fn flush(&mut self, fd: RawFd, out: &Outbox, mut other: impl FnMut(&Entry, &[u8])) -> Failures {
        self.group(out, &mut other);
        self.pieces.clear();
        self.messages.clear();
        self.addresses.clear();
        for group in &self.groups[..self.used] {
            if let Route::Udp(address) = &group.route {
                self.addresses.push(Address::new(address));
                let to = self.addresses.len() - 1;
                cut(&group.pieces, self.segments, to, &mut self.pieces, &mut self.messages);
            }
        }
        self.send(fd, &out.arena)
    }

    fn group(&mut self, out: &Outbox, other: &mut impl FnMut(&Entry, &[u8])) {
        self.used = 0;
        for entry in &out.entries {
            if !matches!(entry.route, Route::Udp(_)) {
                other(entry, &out.arena[entry.start as usize..entry.end as usize]);
                continue;
            }
            let transport = entry.transport as usize;
            if self.places.len() <= transport {
                self.places.resize(transport + 1, NOWHERE);
            }
            let mut place = self.places[transport] as usize;
            if place >= self.used || self.groups[place].route != entry.route {
                place = self.used;
                self.used += 1;
                if self.groups.len() < self.used {
                    self.groups.push(Group { route: entry.route, pieces: Vec::new() });
                }
                self.groups[place].route = entry.route;
                self.groups[place].pieces.clear();
                self.places[transport] = place as u32;
            }
            self.groups[place].pieces.push((entry.start, entry.end));
        }
    }

    fn send(&mut self, fd: RawFd, arena: &[u8]) -> Failures {
        let mut failures = Failures::default();
        let mut from = 0;
        while from < self.messages.len() {
            let (sent, error) = system::send(fd, arena, &self.pieces, &self.addresses, &self.messages[from..]);
            from += sent;
            let Some(error) = error else { break };
            if error.kind() == io::ErrorKind::WouldBlock {
                failures.full += self.messages[from..].iter().map(|message| message.count as u64).sum::<u64>();
                break;
            }
            let failed = &self.messages[from];
            if failed.count > 1 {
                // Too large for the way, or a device that cannot: each datagram for itself.
                let single = |at: usize| Message { to: failed.to, first: failed.first + at, count: 1 };
                for at in 0..failed.count {
                    let (_, error) = system::send(fd, arena, &self.pieces, &self.addresses, &[single(at)]);
                    failures.failed += u64::from(error.is_some());
                }
            } else {
                failures.failed += 1;
            }
            from += 1;
        }
        failures
    }
}

/// Cuts one address's datagrams into messages.
fn cut(group: &[(u32, u32)], segments: bool, to: usize, pieces: &mut Vec<(u32, u32)>, messages: &mut Vec<Message>) {
    let mut at = 0;
    while at < group.len() {
        let first = pieces.len();
        let size = group[at].1 - group[at].0;
        let mut total = 0;
        while at < group.len() && pieces.len() - first < SEGMENTS {
            let length = group[at].1 - group[at].0;
            if length > size || total + length > OCTETS {
                break;
            }
            pieces.push(group[at]);
            total += length;
            at += 1;
            if length < size || !segments {
                break; // only the last segment may be smaller
            }
        }
        messages.push(Message { to, first, count: pieces.len() - first });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(lengths: &[u32], segments: bool) -> Vec<usize> {
        let mut start = 0;
        let group: Vec<(u32, u32)> = lengths
            .iter()
            .map(|length| {
                start += length;
                (start - length, start)
            })
            .collect();
        let (mut pieces, mut messages) = (Vec::new(), Vec::new());
        cut(&group, segments, 0, &mut pieces, &mut messages);
        assert_eq!(pieces, group);
        messages.iter().map(|message| message.count).collect()
    }

    #[test]
    fn equal_sizes_and_a_smaller_last_one_are_one_message() {
        assert_eq!(sizes(&[1200, 1200, 1200, 700], true), [4]);
        assert_eq!(sizes(&[1200, 700, 1200], true), [2, 1]);
        assert_eq!(sizes(&[700, 1200, 1200], true), [1, 2]);
        assert_eq!(sizes(&[1200, 1200], false), [1, 1]);
        assert_eq!(sizes(&[1200; 60], true), [50, 10]);
        assert_eq!(sizes(&[100; 70], true), [64, 6]);
        assert!(sizes(&[], true).is_empty());
    }
}
