//! System calls: the only unsafe code. Many datagrams with one call, in and out, and UDP segmentation offload.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_int, c_void, iovec, mmsghdr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

/// Datagrams read with one call.
pub const BATCH: usize = 64;
/// Room for each: more than `MAX_DATAGRAM`, so that larger ones show.
pub const ROOM: usize = 2048;
/// Messages sent with one call.
const MESSAGES: usize = 64;
const UDP_SEGMENT: c_int = 103;
const CONTROL: usize = 32;

/// Seconds of the monotonic clock, as Python's `time.monotonic`.
pub fn monotonic() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Waits until one of them has something to read, `seconds` at most; which have.
pub fn wait_readable<const N: usize>(fds: [RawFd; N], seconds: f64) -> [bool; N] {
    let mut polls = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let seconds = seconds.max(0.0);
    let time = libc::timespec { tv_sec: seconds as i64, tv_nsec: (seconds.fract() * 1e9) as i64 };
    // SAFETY: as many pollfds as are told of and a timespec, all valid during the call; no signal mask.
    unsafe { libc::ppoll(polls.as_mut_ptr(), N as libc::nfds_t, &time, ptr::null()) };
    polls.map(|poll| poll.revents != 0)
}

/// Wakes a thread that waits for it among other things.
pub struct Bell(OwnedFd);

impl Bell {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved; what comes back, unless negative, is a descriptor that nobody else knows.
        unsafe {
            match libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) {
                fd if fd < 0 => Err(io::Error::last_os_error()),
                fd => Ok(Bell(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub fn ring(&self) {
        signal(self.fd());
    }

    /// It does not ring any more.
    pub fn hush(&self) {
        let mut count: u64 = 0;
        // SAFETY: eight bytes of an integer to write to. That it does not ring is as good.
        unsafe { libc::read(self.fd(), (&raw mut count).cast::<c_void>(), 8) };
    }
}

/// Adds one to an eventfd.
pub fn signal(fd: RawFd) {
    let one: u64 = 1;
    // SAFETY: eight bytes of a valid integer. That it is full already is as good.
    unsafe { libc::write(fd, (&raw const one).cast::<c_void>(), 8) };
}

/// A descriptor that is the caller's to give away.
pub fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only asks whether the number is an open descriptor.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller says that nobody else will close it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

// --- many connections ---------------------------------------------------------------------------

/// Connections told about with one call.
const EVENTS: usize = 64;

pub struct Ready {
    pub number: u64,
    pub readable: bool,
    pub writable: bool,
}

/// Which of many connections have something to do. One that is closed leaves by itself.
pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved; what comes back, unless negative, is a descriptor that nobody else knows.
        unsafe {
            match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
                fd if fd < 0 => Err(io::Error::last_os_error()),
                fd => Ok(Epoll(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub fn add(&self, socket: &impl AsRawFd, number: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), number, false)
    }

    /// Whether to tell as well when more can be written.
    pub fn watch(&self, socket: &impl AsRawFd, number: u64, writable: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket.as_raw_fd(), number, writable)
    }

    fn control(&self, operation: c_int, fd: RawFd, number: u64, writable: bool) -> io::Result<()> {
        let events = libc::EPOLLIN | if writable { libc::EPOLLOUT } else { 0 };
        let mut event = libc::epoll_event { events: events as u32, u64: number };
        // SAFETY: a valid event, which the kernel copies.
        if unsafe { libc::epoll_ctl(self.fd(), operation, fd, &mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Without waiting.
    pub fn ready(&self) -> Vec<Ready> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: room for EVENTS events.
        let count = unsafe { libc::epoll_wait(self.fd(), events.as_mut_ptr(), EVENTS as c_int, 0) };
        let found = events[..usize::try_from(count).unwrap_or(0)].iter();
        let broken = libc::EPOLLHUP | libc::EPOLLERR;
        found
            .map(|event| {
                let (happened, number) = (event.events as c_int, event.u64);
                let readable = happened & (libc::EPOLLIN | broken) != 0;
                Ready { number, readable, writable: happened & libc::EPOLLOUT != 0 }
            })
            .collect()
    }
}

/// Whether the kernel segments UDP datagrams for us.
pub fn segments(fd: RawFd) -> bool {
    let (mut value, mut size): (c_int, socklen_t) = (0, mem::size_of::<c_int>() as socklen_t);
    // SAFETY: value and size are valid for writing, size says how large value is.
    let result =
        unsafe { libc::getsockopt(fd, libc::IPPROTO_UDP, UDP_SEGMENT, (&raw mut value).cast::<c_void>(), &mut size) };
    result == 0
}

// --- reading ------------------------------------------------------------------------------------

/// Buffers for one `receive`.
pub struct Inbox {
    data: Vec<u8>,
    addresses: Vec<sockaddr_storage>,
    lengths: Vec<usize>,
}

impl Default for Inbox {
    fn default() -> Self {
        // SAFETY: a sockaddr_storage is plain integers, for which zero is a value.
        let blank: sockaddr_storage = unsafe { mem::zeroed() };
        Inbox { data: vec![0; BATCH * ROOM], addresses: vec![blank; BATCH], lengths: Vec::with_capacity(BATCH) }
    }
}

impl Inbox {
    /// Reads what is there, without waiting; how many datagrams there are.
    pub fn receive(&mut self, fd: RawFd) -> usize {
        self.lengths.clear();
        let mut pieces: Vec<iovec> = self
            .data
            .chunks_exact_mut(ROOM)
            .map(|room| iovec { iov_base: room.as_mut_ptr().cast::<c_void>(), iov_len: ROOM })
            .collect();
        let mut headers: Vec<mmsghdr> = pieces
            .iter_mut()
            .zip(&mut self.addresses)
            .map(|(piece, address)| {
                // SAFETY: a mmsghdr is integers and pointers, for which zero is a value.
                let mut header: mmsghdr = unsafe { mem::zeroed() };
                header.msg_hdr.msg_name = ptr::from_mut(address).cast::<c_void>();
                header.msg_hdr.msg_namelen = mem::size_of::<sockaddr_storage>() as socklen_t;
                header.msg_hdr.msg_iov = piece;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        // SAFETY: BATCH headers, each with the address of a buffer of ROOM bytes and of a sockaddr_storage, all of
        // which outlive the call and are not touched during it.
        let count =
            unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT, ptr::null_mut()) };
        let count = usize::try_from(count).unwrap_or(0);
        self.lengths.extend(headers[..count].iter().map(|header| header.msg_len as usize));
        count
    }

    /// The datagram and where it came from; None for an address of another family.
    pub fn datagram(&mut self, at: usize) -> Option<(&mut [u8], SocketAddr)> {
        let address = decode(&self.addresses[at])?;
        Some((&mut self.data[at * ROOM..at * ROOM + self.lengths[at]], address))
    }
}

fn decode(storage: &sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that a sockaddr_in was written there; the storage is large and aligned enough.
            let address = unsafe { &*ptr::from_ref(storage).cast::<sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(address.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, with a sockaddr_in6.
            let address = unsafe { &*ptr::from_ref(storage).cast::<sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id)))
        }
        _ => None,
    }
}

// --- writing ------------------------------------------------------------------------------------

/// An address as the kernel takes it.
#[derive(Clone, Copy)]
pub struct Address {
    storage: sockaddr_storage,
    length: socklen_t,
}

impl Address {
    pub fn new(address: &SocketAddr) -> Self {
        // SAFETY: a sockaddr_storage is plain integers, for which zero is a value.
        let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
        let length = match address {
            SocketAddr::V4(address) => {
                // SAFETY: the storage is large and aligned enough for every kind of address.
                let raw = unsafe { &mut *ptr::from_mut(&mut storage).cast::<sockaddr_in>() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = address.port().to_be();
                raw.sin_addr.s_addr = u32::from(*address.ip()).to_be();
                mem::size_of::<sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                // SAFETY: as above.
                let raw = unsafe { &mut *ptr::from_mut(&mut storage).cast::<sockaddr_in6>() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = address.port().to_be();
                raw.sin6_addr.s6_addr = address.ip().octets();
                raw.sin6_scope_id = address.scope_id();
                mem::size_of::<sockaddr_in6>()
            }
        };
        Address { storage, length: length as socklen_t }
    }
}

/// One message: datagrams to one address, `pieces[first..first + count]`. More than one are segments: all of one size
/// but the last, which may be smaller.
pub struct Message {
    pub to: usize,
    pub first: usize,
    pub count: usize,
}

#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// Sends messages until one fails; how many have gone, and the error if any.
pub fn send(
    fd: RawFd,
    arena: &[u8],
    pieces: &[(u32, u32)],
    addresses: &[Address],
    messages: &[Message],
) -> (usize, Option<io::Error>) {
    let mut parts: Vec<iovec> = pieces
        .iter()
        .map(|(start, end)| {
            let data = &arena[*start as usize..*end as usize];
            iovec { iov_base: data.as_ptr().cast_mut().cast::<c_void>(), iov_len: data.len() }
        })
        .collect();
    let mut done = 0;
    while done < messages.len() {
        let batch = &messages[done..messages.len().min(done + MESSAGES)];
        let mut controls: Vec<Control> = batch.iter().map(|_| Control([0; CONTROL])).collect();
        let mut headers: Vec<mmsghdr> = Vec::with_capacity(batch.len());
        for (message, control) in batch.iter().zip(&mut controls) {
            // SAFETY: a mmsghdr is integers and pointers, for which zero is a value.
            let mut header: mmsghdr = unsafe { mem::zeroed() };
            let to = &addresses[message.to];
            let part = &mut parts[message.first..message.first + message.count];
            header.msg_hdr.msg_name = ptr::from_ref(&to.storage).cast_mut().cast::<c_void>();
            header.msg_hdr.msg_namelen = to.length;
            header.msg_hdr.msg_iov = part.as_mut_ptr();
            header.msg_hdr.msg_iovlen = message.count;
            if message.count > 1 {
                let size = part[0].iov_len as u16;
                // SAFETY: CONTROL bytes, aligned for a cmsghdr, hold one with two bytes of data; CMSG_FIRSTHDR points
                // to their start then, CMSG_DATA into them.
                unsafe {
                    header.msg_hdr.msg_control = control.0.as_mut_ptr().cast::<c_void>();
                    header.msg_hdr.msg_controllen = libc::CMSG_SPACE(2) as usize;
                    let head = libc::CMSG_FIRSTHDR(&header.msg_hdr);
                    (*head).cmsg_level = libc::IPPROTO_UDP;
                    (*head).cmsg_type = UDP_SEGMENT;
                    (*head).cmsg_len = libc::CMSG_LEN(2) as usize;
                    ptr::write_unaligned(libc::CMSG_DATA(head).cast::<u16>(), size);
                }
            }
            headers.push(header);
        }
        // SAFETY: every header refers to addresses, parts and controls that outlive the call; sending does not write
        // to what the parts refer to.
        let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), headers.len() as u32, libc::MSG_DONTWAIT) };
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => done += sent,
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return (done, Some(error));
                }
            }
        }
    }
    (done, None)
}
