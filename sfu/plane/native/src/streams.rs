//! Media over TCP: connections that Python has accepted and authenticated, framed as RFC 4571 says (ICE-TCP, RFC 6544).
//!
//! Nothing here waits. What a peer does not read waits in a bounded queue of its own, where only whole datagrams are left
//! out: pictures first, for sound, feedback and handshakes have a part of the queue to themselves.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{OwnedFd, RawFd};

use crate::framing::{Deframer, Overlong, MAX_FRAME};
use crate::slab::Key;
use crate::system::{Epoll, Ready};

/// As `sfu/tcp.py` has it.
const MOST_QUEUED: usize = 160_000;
const MOST_PICTURES: usize = 120_000;
/// Read of one connection at a time, so that none keeps the others waiting.
const AT_ONCE: usize = 16 << 10;
/// What has been written is forgotten when it is so much.
const COMPACT: usize = 32 << 10;

struct Stream {
    socket: TcpStream,
    /// Whose media comes from it.
    transport: Option<Key>,
    /// Media came since it was last asked for.
    heard: bool,
    deframer: Deframer,
    queue: Vec<u8>,
    written: usize,
    /// For the kernel to take more.
    waits: bool,
}

/// See the module text. Connections have the numbers that Python gave them.
pub struct Streams {
    epoll: Epoll,
    open: HashMap<u64, Stream>,
    touched: Vec<u64>,
    /// Those that have ended by themselves, with the reason to count if there is any.
    pub ended: Vec<(u64, &'static str)>,
    scratch: Vec<u8>,
}

impl Streams {
    pub fn new() -> io::Result<Self> {
        let (open, touched, ended) = Default::default();
        Ok(Streams { epoll: Epoll::new()?, open, touched, ended, scratch: vec![0; AT_ONCE] })
    }

    /// Readable when `read` has something to do.
    pub fn fd(&self) -> RawFd {
        self.epoll.fd()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes over a connection; `rest` is the beginning of a frame that was read already.
    pub fn adopt(&mut self, number: u64, socket: OwnedFd, rest: &[u8]) -> io::Result<()> {
        let socket = TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        self.epoll.add(&socket, number)?;
        let stream = Stream {
            socket,
            transport: None,
            heard: true,
            deframer: Deframer::new(rest),
            queue: Vec::new(),
            written: 0,
            waits: false,
        };
        self.open.insert(number, stream);
        Ok(())
    }

    /// What comes from it is the transport's from now on.
    pub fn bind(&mut self, number: u64, transport: Option<Key>) {
        if let Some(stream) = self.open.get_mut(&number) {
            stream.transport = transport;
        }
    }

    /// Forgets a transport; its connections stay.
    pub fn leave(&mut self, transport: Key) {
        for stream in self.open.values_mut().filter(|stream| stream.transport == Some(transport)) {
            stream.transport = None;
        }
    }

    pub fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Closes all.
    pub fn clear(&mut self) {
        self.open.clear();
        self.touched.clear();
        self.ended.clear();
    }

    /// Connections that media came from since the last call, and whose it was.
    pub fn heard(&mut self) -> Vec<(u64, Key)> {
        let open = self.open.iter_mut();
        let lately =
            open.filter_map(|(number, stream)| Some((*number, std::mem::take(&mut stream.heard), stream.transport?)));
        lately.filter(|(_, heard, _)| *heard).map(|(number, _, key)| (number, key)).collect()
    }

    // --- writing ---

    /// One datagram on its way out, with the next `write`. `first`: not a picture. Says why it was left out.
    pub fn queue(&mut self, number: u64, datagram: &[u8], first: bool) -> Result<(), &'static str> {
        let stream = self.open.get_mut(&number).ok_or("tcp closed")?;
        if datagram.len() > MAX_FRAME {
            return Err("oversized");
        }
        let waiting = stream.queue.len() - stream.written;
        if waiting + 2 + datagram.len() > if first { MOST_QUEUED } else { MOST_PICTURES } {
            return Err("tcp peer too slow");
        }
        if waiting == 0 {
            self.touched.push(number);
        }
        stream.queue.extend_from_slice(&(datagram.len() as u16).to_be_bytes());
        stream.queue.extend_from_slice(datagram);
        Ok(())
    }

    /// Everything queued that the kernel takes.
    pub fn write(&mut self) {
        for number in std::mem::take(&mut self.touched) {
            self.write_one(number);
        }
    }

    fn write_one(&mut self, number: u64) {
        let Some(stream) = self.open.get_mut(&number) else { return };
        let waited = stream.waits;
        match stream.write() {
            Ok(()) if stream.waits != waited => {
                if self.epoll.watch(&stream.socket, number, stream.waits).is_err() {
                    self.end(number, "");
                }
            }
            Ok(()) => {}
            Err(_) => self.end(number, ""),
        }
    }

    fn end(&mut self, number: u64, reason: &'static str) {
        if self.open.remove(&number).is_some() {
            self.ended.push((number, reason));
        }
    }

    // --- reading ---

    /// What has come, frame by frame, with whose it is; writes on where the kernel takes more again.
    pub fn read(&mut self, mut frame: impl FnMut(u64, Option<Key>, &mut [u8])) {
        for Ready { number, readable, writable } in self.epoll.ready() {
            if writable {
                self.write_one(number);
            }
            let Some(stream) = self.open.get_mut(&number).filter(|_| readable) else { continue };
            let whose = stream.transport;
            match stream.read(&mut self.scratch, &mut |datagram: &mut [u8]| frame(number, whose, datagram)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::InvalidData => self.end(number, "tcp framing"),
                Err(_) => self.end(number, ""),
            }
        }
    }
}

impl Stream {
    fn write(&mut self) -> io::Result<()> {
        while self.written < self.queue.len() {
            match self.socket.write(&self.queue[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.written >= COMPACT {
                        self.queue.drain(..self.written);
                        self.written = 0;
                    }
                    self.waits = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.queue.clear();
        self.written = 0;
        self.waits = false;
        Ok(())
    }

    /// `InvalidData` for a frame that is longer than any datagram: the stream cannot be trusted any more.
    fn read(&mut self, scratch: &mut [u8], frame: &mut impl FnMut(&mut [u8])) -> io::Result<()> {
        let count = match self.socket.read(scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut told = |datagram: &mut [u8]| {
            self.heard |= (128..=191).contains(&datagram[0]);
            frame(datagram);
        };
        self.deframer.feed(&mut scratch[..count], &mut told).map_err(|Overlong| ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    fn frames(streams: &mut Streams, wanted: usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < wanted && streams.ended.is_empty() {
            streams.read(|number, _, datagram| {
                assert_eq!(number, 7);
                all.push(datagram.to_vec());
            });
        }
        all
    }

    #[test]
    fn frames_are_cut_wherever_they_are_split() {
        let (mut near, far) = pair();
        let mut streams = Streams::new().unwrap();
        let sent: Vec<Vec<u8>> = (1..40u8).map(|at| vec![at; usize::from(at) * 37]).collect();
        let mut bytes = Vec::new();
        for datagram in &sent {
            bytes.extend_from_slice(&(datagram.len() as u16).to_be_bytes());
            bytes.extend_from_slice(datagram);
            bytes.extend_from_slice(&[0, 0]);
        }
        streams.adopt(7, far.into(), &bytes[..100]).unwrap();
        near.set_nodelay(true).unwrap();
        let writer = std::thread::spawn(move || {
            for piece in bytes[100..].chunks(61) {
                near.write_all(piece).unwrap();
            }
            near
        });
        assert_eq!(frames(&mut streams, sent.len()), sent);
        drop(writer.join().unwrap());
        assert!(frames(&mut streams, 1).is_empty());
        assert_eq!(streams.ended, [(7, "")]);
        assert!(streams.is_empty());
    }

    #[test]
    fn an_overlong_frame_ends_the_connection() {
        let (mut near, far) = pair();
        let mut streams = Streams::new().unwrap();
        streams.adopt(7, far.into(), &[]).unwrap();
        near.write_all(&[0, 2, 1, 2, 0x05, 0xdd]).unwrap();
        assert_eq!(frames(&mut streams, 2), [[1, 2]]);
        assert_eq!(streams.ended, [(7, "tcp framing")]);
    }

    #[test]
    fn what_a_peer_does_not_read_is_left_out_whole_and_pictures_first() {
        let (mut near, far) = pair();
        let mut streams = Streams::new().unwrap();
        streams.adopt(7, far.into(), &[]).unwrap();
        let (mut pictures, mut sounds) = (0, 0);
        while streams.queue(7, &[1; 1200], false).is_ok() {
            pictures += 1;
            streams.write();
        }
        while streams.queue(7, &[2; 100], true).is_ok() {
            sounds += 1;
            streams.write();
        }
        assert!(sounds * 102 > MOST_QUEUED - MOST_PICTURES - 2000);
        assert_eq!(streams.queue(7, &[1; 1200], false), Err("tcp peer too slow"));
        assert_eq!(streams.queue(7, &[1; 1501], true), Err("oversized"));
        assert_eq!(streams.queue(8, &[1; 12], true), Err("tcp closed"));
        let reader = std::thread::spawn(move || {
            let (mut size, mut found) = ([0; 2], [0, 0]);
            while found[0] + found[1] < pictures + sounds {
                near.read_exact(&mut size).unwrap();
                let mut frame = vec![0; usize::from(u16::from_be_bytes(size))];
                near.read_exact(&mut frame).unwrap();
                assert!(frame.iter().all(|byte| *byte == frame[0]));
                found[usize::from(frame[0]) - 1] += 1;
            }
            (near, found)
        });
        while !reader.is_finished() {
            streams.read(|_, _, _| {});
        }
        let (near, found) = reader.join().unwrap();
        assert_eq!(found, [pictures, sounds]);
        assert_eq!(streams.queue(7, &[1; 1200], false), Ok(()));
        drop(near);
        while streams.ended.is_empty() {
            streams.read(|_, _, _| {});
        }
    }
}
