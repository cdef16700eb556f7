//! Sealed datagrams on their way out: one arena, and where each of them goes.

use std::net::SocketAddr;

/// Where a transport's datagrams go: an address of the UDP socket, or something that only the caller knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    Udp(SocketAddr),
    /// A TCP connection that the plane works on.
    Stream(u64),
    Handle(u64),
}

pub struct Entry {
    pub route: Route,
    /// The place of the transport: what goes to one of them goes together.
    pub transport: u32,
    /// A picture, which is left out first where there is no room for everything.
    pub picture: bool,
    pub start: u32,
    pub end: u32,
}

#[derive(Default)]
pub struct Outbox {
    pub arena: Vec<u8>,
    pub entries: Vec<Entry>,
}

impl Outbox {
    /// What the arena has from `start` on is a datagram.
    #[inline]
    pub fn commit(&mut self, route: Route, transport: u32, picture: bool, start: usize) {
        self.entries.push(Entry { route, transport, picture, start: start as u32, end: self.arena.len() as u32 });
    }

    pub fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
    }
}
