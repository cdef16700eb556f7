//! What one transport has sent lately, by transport sequence number, and what became of it; see `sfu/sendlog.py`.

use crate::twcc::{FeedbackClock, TransportFeedback, TICK};

const SIZE: i64 = 2048;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Sent,
    Lost,
    Arrived,
}

#[derive(Clone, Copy)]
struct Sent {
    at: f64,
    size: u16,
    cluster: u16,
    state: State,
}

#[derive(Clone, Copy)]
pub struct Arrival {
    pub sent: f64,
    pub arrived: f64,
    pub size: i64,
    pub cluster: u16,
}

/// What one message told: arrivals first told now, in order of arrival, and counts of those lost.
pub struct Outcome {
    pub arrivals: Vec<Arrival>,
    pub lost: i64,
    pub lost_octets: i64,
    pub late: i64,
    pub untold: i64,
    pub newest_sent: f64,
}

pub struct SendLog {
    next: i64,
    /// Bytes sent that nothing was told of yet.
    pub outstanding: i64,
    told: i64,
    slots: Vec<Sent>,
    clock: FeedbackClock,
}

impl Default for SendLog {
    fn default() -> Self {
        let slots = vec![Sent { at: 0.0, size: 0, cluster: 0, state: State::None }; SIZE as usize];
        SendLog { next: 0, outstanding: 0, told: -1, slots, clock: FeedbackClock::default() }
    }
}

impl SendLog {
    fn slot(&mut self, number: i64) -> &mut Sent {
        &mut self.slots[(number & (SIZE - 1)) as usize]
    }

    /// A packet leaves now; gives its number. `cluster` is the probe it is part of, 0 for none.
    pub fn sent(&mut self, size: usize, now: f64, cluster: u16) -> i64 {
        let number = self.next;
        let slot = self.slot(number);
        let before = if slot.state == State::Sent { i64::from(slot.size) } else { 0 };
        *slot = Sent { at: now, size: size as u16, cluster, state: State::Sent };
        self.outstanding += size as i64 - before;
        self.next = number + 1;
        number
    }

    /// The packet of this number leaves once more as it is: its arrival tells nothing any more.
    pub fn repeated(&mut self, wire: u16) {
        if (self.next - 1 - i64::from(wire)) & 0xFFFF >= SIZE {
            return; // forgotten
        }
        let slot = self.slot(i64::from(wire));
        let size = if slot.state == State::Sent { i64::from(slot.size) } else { 0 };
        slot.state = State::Arrived;
        self.outstanding -= size;
    }

    pub fn matched(&mut self, feedback: &TransportFeedback) -> Outcome {
        let mut outcome = Outcome {
            arrivals: Vec::new(),
            lost: 0,
            lost_octets: 0,
            late: 0,
            untold: 0,
            newest_sent: f64::NEG_INFINITY,
        };
        let newest = self.next - 1;
        let back = (newest - i64::from(feedback.base)) & 0xFFFF;
        if back > 0x7FFF {
            return outcome; // about numbers from the future
        }
        let base = newest - back;
        let oldest = (self.next - SIZE).max(0);
        let origin = self.clock.seconds(feedback.reference);
        if 0 <= self.told && self.told < base - 1 {
            self.pass_over((self.told + 1).max(oldest), base, &mut outcome);
        }
        let mut offset = (oldest - base).max(0);
        let end = i64::from(feedback.count).min(self.next - base);
        let skipped = offset;
        let mut arrivals = feedback.arrivals.iter().skip_while(|(at, _)| *at < skipped).peekable();
        let mut rows: Vec<(usize, Arrival)> = Vec::with_capacity(feedback.arrivals.len());
        while offset < end {
            let place = ((base + offset) & (SIZE - 1)) as usize;
            let slot = &mut self.slots[place];
            if slot.state == State::Sent {
                self.outstanding -= i64::from(slot.size);
            }
            if let Some((_, ticks)) = arrivals.next_if(|(at, _)| *at == offset) {
                if slot.state != State::Arrived {
                    outcome.late += i64::from(slot.state == State::Lost);
                    slot.state = State::Arrived;
                    let arrived = origin + *ticks as f64 * TICK;
                    let (size, cluster) = (i64::from(slot.size), slot.cluster);
                    rows.push((place, Arrival { sent: slot.at, arrived, size, cluster }));
                    outcome.newest_sent = outcome.newest_sent.max(slot.at);
                }
            } else if slot.state == State::Sent {
                slot.state = State::Lost;
                outcome.lost += 1;
                outcome.lost_octets += i64::from(slot.size);
            }
            offset += 1;
        }
        self.told = self.told.max(base + offset - 1);
        // Of those told to have come at once, by their place in the ring, as the Python plane sorts them.
        rows.sort_by(|a, b| a.1.arrived.total_cmp(&b.1.arrived).then(a.0.cmp(&b.0)));
        outcome.arrivals = rows.into_iter().map(|(_, arrival)| arrival).collect();
        outcome
    }

    fn pass_over(&mut self, start: i64, end: i64, outcome: &mut Outcome) {
        for number in start..end {
            let slot = self.slot(number);
            if slot.state == State::Sent {
                slot.state = State::Arrived;
                let size = i64::from(slot.size);
                self.outstanding -= size;
                outcome.untold += size;
            }
        }
    }
}
