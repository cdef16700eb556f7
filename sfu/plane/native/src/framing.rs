//! RFC 4571: datagrams over a byte stream, each after its length in two bytes; see `sfu/framing.py`.

/// A frame may be so long.
pub const MAX_FRAME: usize = 1500;

/// The peer announced a longer frame than any datagram that we take: the stream cannot be trusted any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlong;

/// Cuts a stream into datagrams. Between calls it holds at most one unfinished frame.
#[derive(Default)]
pub struct Deframer {
    unfinished: Vec<u8>,
}

impl Deframer {
    /// `rest` is the beginning of a frame that was read elsewhere.
    pub fn new(rest: &[u8]) -> Self {
        Deframer { unfinished: rest.to_vec() }
    }

    /// Tells of every datagram that is completed by `data`, empty ones left out; they may be changed in place.
    pub fn feed(&mut self, data: &mut [u8], told: &mut impl FnMut(&mut [u8])) -> Result<(), Overlong> {
        if self.unfinished.is_empty() {
            let used = cut(data, told)?;
            self.unfinished.extend_from_slice(&data[used..]);
        } else {
            self.unfinished.extend_from_slice(data);
            let used = cut(&mut self.unfinished, told)?;
            self.unfinished.drain(..used);
        }
        Ok(())
    }
}

/// How many bytes the whole frames took.
fn cut(data: &mut [u8], told: &mut impl FnMut(&mut [u8])) -> Result<usize, Overlong> {
    let mut at = 0;
    while let Some(&[high, low]) = data.get(at..at + 2) {
        let size = usize::from(u16::from_be_bytes([high, low]));
        if size > MAX_FRAME {
            return Err(Overlong);
        }
        let Some(datagram) = data.get_mut(at + 2..at + 2 + size) else { break };
        if size > 0 {
            told(datagram);
        }
        at += 2 + size;
    }
    Ok(at)
}
