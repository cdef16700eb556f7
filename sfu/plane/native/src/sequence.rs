//! From 16-bit sequence numbers and 32-bit timestamps to numbers that never wrap around and never restart
//! (RFC 3550, appendix A.1); see `sfu/sequence.py`.

const MAX_AHEAD: i64 = 3000;
const MAX_BEHIND: i64 = 1000;

pub struct Numbering {
    pub clock_rate: i64,
    /// The greatest sequence placed.
    pub highest: i64,
    /// Its media time.
    pub timestamp: i64,
    pub started: bool,
    /// Counts the restarts.
    pub epoch: i64,
    arrival: f64,
    shift: i64,
    sequence16: i64,
    timestamp32: u32,
    suspect: i64,
    renew: bool,
}

impl Numbering {
    pub fn new(clock_rate: i64) -> Self {
        Numbering {
            clock_rate,
            highest: -1,
            timestamp: 0,
            started: false,
            epoch: 0,
            arrival: 0.0,
            shift: 0,
            sequence16: 0,
            timestamp32: 0,
            suspect: -1,
            renew: false,
        }
    }

    /// The next packet starts a new numbering (a new SSRC) and is placed right after all before it.
    pub fn renew(&mut self) {
        self.renew = self.started;
    }

    /// Sequence and time of a packet; None for one so far off that a second must confirm it. `torn`: the frame before
    /// is not complete, so that a restart leaves one number free.
    pub fn place(&mut self, sequence: u16, timestamp: u32, now: f64, torn: bool) -> Option<(i64, i64)> {
        if !self.started {
            self.started = true;
            return Some(self.advance(i64::from(sequence), i64::from(timestamp), sequence, timestamp, now));
        }
        if self.renew {
            return Some(self.restart(sequence, timestamp, now, torn));
        }
        if let Some(near) = self.place_repair(sequence, timestamp, now) {
            return Some(near);
        }
        if i64::from(sequence) == self.suspect {
            return Some(self.restart(sequence, timestamp, now, torn));
        }
        self.suspect = i64::from(sequence.wrapping_add(1));
        None
    }

    /// The same for a retransmission, which never starts anything anew.
    pub fn place_repair(&mut self, sequence: u16, timestamp: u32, now: f64) -> Option<(i64, i64)> {
        let mut step = (i64::from(sequence) - self.sequence16) & 0xFFFF;
        if step > 0x7FFF {
            step -= 0x10000;
        }
        if !self.started || !(-MAX_BEHIND..=MAX_AHEAD).contains(&step) {
            return None;
        }
        let time = self.unwrap_timestamp(timestamp);
        if step <= 0 {
            return Some((self.highest + step, time));
        }
        self.suspect = -1;
        Some(self.advance(self.highest + step, time, sequence, timestamp, now))
    }

    /// The media time nearest to the latest packet's.
    pub fn unwrap_timestamp(&self, timestamp: u32) -> i64 {
        self.timestamp + i64::from(timestamp.wrapping_sub(self.timestamp32) as i32)
    }

    /// The publisher's own number of a placed packet.
    pub fn wire_sequence(&self, sequence: i64) -> u16 {
        (self.sequence16 + sequence - self.highest) as u16
    }

    /// The extended highest sequence for a receiver report.
    pub fn wire_highest(&self) -> u32 {
        (self.highest - self.shift) as u32
    }

    fn restart(&mut self, sequence: u16, timestamp: u32, now: f64, torn: bool) -> (i64, i64) {
        let passed = (((now - self.arrival) * self.clock_rate as f64).round_ties_even() as i64).max(1);
        self.renew = false;
        self.suspect = -1;
        self.epoch += 1;
        let placed = self.highest + 1 + i64::from(torn);
        self.shift = placed - i64::from(sequence);
        self.advance(placed, self.timestamp + passed, sequence, timestamp, now)
    }

    fn advance(&mut self, highest: i64, time: i64, sequence: u16, timestamp: u32, now: f64) -> (i64, i64) {
        self.highest = highest;
        self.timestamp = time;
        self.sequence16 = i64::from(sequence);
        self.timestamp32 = timestamp;
        self.arrival = now;
        (highest, time)
    }
}
