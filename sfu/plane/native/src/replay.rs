//! Extended indices and replay windows of SRTP and SRTCP streams, as libsrtp keeps them (RFC 3711, section 3.3).

/// Replay window in packets.
const WINDOW: u64 = 2048;
const MEDIAN: u64 = 1 << 15;

/// The extended index of an SRTP stream and which of the last indices were seen.
pub struct Window {
    index: u64,
    seen: Box<[u64; (WINDOW / 64) as usize]>,
}

impl Default for Window {
    fn default() -> Self {
        Window { index: 0, seen: Box::new([0; (WINDOW / 64) as usize]) }
    }
}

impl Window {
    /// The index of a sequence number, and how far it is ahead (RFC 3711, appendix A).
    #[inline]
    pub fn estimate(&self, sequence: u16) -> (u64, i64) {
        if self.index <= MEDIAN {
            return (u64::from(sequence), i64::from(sequence) - i64::from(self.index as u16));
        }
        let (roc, local) = (self.index >> 16, i64::from(self.index as u16));
        let (sequence, median) = (i64::from(sequence), MEDIAN as i64);
        let (roc, delta) = if local < median {
            if sequence - local > median {
                (roc.wrapping_sub(1), sequence - local - 65536)
            } else {
                (roc, sequence - local)
            }
        } else if local - median > sequence {
            (roc + 1, sequence - local + 65536)
        } else {
            (roc, sequence - local)
        };
        ((roc << 16 | sequence as u64) & 0xFFFF_FFFF_FFFF, delta)
    }

    /// False for what was seen, or is too old to tell.
    #[inline]
    pub fn fresh(&self, delta: i64) -> bool {
        if delta > 0 {
            return true;
        }
        if delta <= -(WINDOW as i64) {
            return false;
        }
        let at = self.index.wrapping_add_signed(delta) % WINDOW;
        self.seen[(at / 64) as usize] & (1 << (at % 64)) == 0
    }

    #[inline]
    pub fn add(&mut self, delta: i64) {
        if delta >= WINDOW as i64 {
            self.seen.fill(0);
        } else {
            for step in 1..=delta {
                let at = (self.index + step as u64) % WINDOW;
                self.seen[(at / 64) as usize] &= !(1 << (at % 64));
            }
        }
        let at = self.index.wrapping_add_signed(delta);
        if delta > 0 {
            self.index = at;
        }
        let at = at % WINDOW;
        self.seen[(at / 64) as usize] |= 1 << (at % 64);
    }
}

/// The replay window of SRTCP: 128 indices from `start` on.
#[derive(Default)]
pub struct RtcpWindow {
    start: u32,
    seen: u128,
}

impl RtcpWindow {
    pub fn fresh(&self, index: u32) -> bool {
        index >= self.start && (index - self.start >= 128 || self.seen & (1 << (index - self.start)) == 0)
    }

    pub fn add(&mut self, index: u32) {
        let ahead = index - self.start;
        if ahead < 128 {
            self.seen |= 1 << ahead;
            return;
        }
        let shift = ahead - 127;
        self.seen = if shift < 128 { self.seen >> shift } else { 0 } | 1 << 127;
        self.start += shift;
    }
}
