//! Reception statistics of one stream, as a receiver report tells them (RFC 3550, sections 6.4, A.3 and A.8).

use crate::rtcp::Report;

pub struct Reception {
    clock_rate: i64,
    pub received: i64,
    pub jitter: f64,
    first: i64,
    epoch: i64,
    transit: f64,
    expected_before: i64,
    received_before: i64,
    base_received: i64,
    last_sr: u32,
    last_sr_at: f64,
}

impl Reception {
    pub fn new(clock_rate: i64) -> Self {
        Reception {
            clock_rate,
            received: 0,
            jitter: 0.0,
            first: -1,
            epoch: -1,
            transit: 0.0,
            expected_before: 0,
            received_before: 0,
            base_received: 0,
            last_sr: 0,
            last_sr_at: 0.0,
        }
    }

    /// A packet of the media stream itself; a new epoch starts the counts of the report anew.
    pub fn packet(&mut self, sequence: i64, timestamp: i64, epoch: i64, now: f64) {
        let transit = now - timestamp as f64 / self.clock_rate as f64;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.first = sequence;
            self.base_received = self.received;
            self.expected_before = 0;
            self.received_before = 0;
            self.last_sr = 0;
        } else {
            self.jitter += ((transit - self.transit).abs() - self.jitter) / 16.0;
        }
        self.transit = transit;
        self.received += 1;
    }

    pub fn sender_report(&mut self, ntp: u64, now: f64) {
        self.last_sr = (ntp >> 16) as u32;
        self.last_sr_at = now;
    }

    /// Packets expected and lost since the last call.
    pub fn interval(&mut self, highest: i64) -> (i64, i64) {
        let (expected, received) = self.totals(highest);
        let passed = expected - self.expected_before;
        let lost = passed - (received - self.received_before);
        self.expected_before = expected;
        self.received_before = received;
        (passed.max(0), lost.max(0))
    }

    pub fn report(&self, ssrc: u32, highest: i64, wire_highest: u32, loss: f64, now: f64) -> Report {
        let (expected, received) = self.totals(highest);
        let delay =
            if self.last_sr != 0 { (((now - self.last_sr_at) * 65536.0) as i64).min(0xFFFF_FFFF) as u32 } else { 0 };
        Report {
            ssrc,
            fraction_lost: loss,
            lost: expected - received,
            highest_sequence: wire_highest,
            jitter: (self.jitter * self.clock_rate as f64).round_ties_even() as i64 as u32,
            last_sr: self.last_sr,
            delay,
        }
    }

    fn totals(&self, highest: i64) -> (i64, i64) {
        let expected = if self.first >= 0 { highest - self.first + 1 } else { 0 };
        (expected, self.received - self.base_received)
    }
}
