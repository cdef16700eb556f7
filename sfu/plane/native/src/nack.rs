//! Which packets to ask for again (generic NACK, RFC 4585), when, and when to stop asking; see `sfu/nack.py`.

use std::collections::BTreeMap;

const REORDER: f64 = 0.01;
const MOST_REORDER: f64 = 0.05;
const FIRST_RETRY: f64 = 0.04;
const BACKOFF: f64 = 1.5;
const LONGEST_RETRY: f64 = 0.2;
const MARGIN: f64 = 1.25;
const SLACK: f64 = 0.01;
const KNOWN_BACKOFF: f64 = 1.25;
const MOST_RETRY: f64 = 0.4;
const MAX_TRIES: i32 = 10;
const MAX_AGE: f64 = 1.0;
const MAX_MISSING: i64 = 500;

struct Missing {
    since: f64,
    at: f64,
    tries: i32,
    asked: f64,
}

pub struct NackTracker {
    missing: BTreeMap<i64, Missing>,
    pub next_due: f64,
    pub given_up: i64,
    /// From asking to having, as a rule.
    round_trip: Option<f64>,
    patience: f64,
    highest: i64,
}

impl Default for NackTracker {
    fn default() -> Self {
        NackTracker {
            missing: BTreeMap::new(),
            next_due: f64::INFINITY,
            given_up: 0,
            round_trip: None,
            patience: REORDER,
            highest: -1,
        }
    }
}

impl NackTracker {
    /// A packet came, by retransmission where `repaired`.
    pub fn received(&mut self, sequence: i64, now: f64, repaired: bool) {
        if sequence <= self.highest {
            if let Some(entry) = self.missing.remove(&sequence) {
                let answered = (entry.tries > 0).then_some(now - entry.asked);
                self.learn(now - entry.since, answered, repaired);
            }
            return;
        }
        if self.highest >= 0 && sequence > self.highest + 1 {
            self.open_gap(self.highest + 1, sequence, now);
        }
        self.highest = sequence;
    }

    fn learn(&mut self, late: f64, answered: Option<f64>, repaired: bool) {
        if repaired {
            self.patience = REORDER.max(0.97 * self.patience);
            if let Some(answered) = answered {
                self.round_trip = Some(match self.round_trip {
                    Some(known) if answered >= known => known + (answered - known) / 16.0,
                    _ => answered,
                });
            }
        } else if answered.is_none_or(|answered| self.round_trip.is_some_and(|known| answered < 0.5 * known)) {
            self.patience = self.patience.max(MOST_REORDER.min(1.1 * late));
        }
    }

    fn open_gap(&mut self, start: i64, end: i64, now: f64) {
        if self.missing.len() as i64 + end - start > MAX_MISSING {
            self.given_up += self.missing.len() as i64 + end - start;
            self.missing.clear();
            return;
        }
        let at = now + self.patience;
        self.next_due = self.next_due.min(at);
        for sequence in start..end {
            self.missing.insert(sequence, Missing { since: now, at, tries: 0, asked: 0.0 });
        }
    }

    fn wait(round_trip: Option<f64>, tries: i32) -> f64 {
        match round_trip {
            None => LONGEST_RETRY.min(FIRST_RETRY * BACKOFF.powf(f64::from(tries))),
            Some(known) => MOST_RETRY.min((MARGIN * known + SLACK) * KNOWN_BACKOFF.powf(f64::from(tries))),
        }
    }

    /// Sequences to ask for now; gives up what was asked for too often or is too old.
    pub fn due(&mut self, now: f64) -> Vec<i64> {
        let mut asked = Vec::new();
        if now < self.next_due {
            return asked;
        }
        let (round_trip, mut soonest) = (self.round_trip, f64::INFINITY);
        let before = self.missing.len();
        self.missing.retain(|sequence, entry| {
            if entry.at <= now {
                if entry.tries >= MAX_TRIES || now - entry.since > MAX_AGE {
                    return false;
                }
                asked.push(*sequence);
                entry.at = now + Self::wait(round_trip, entry.tries);
                if entry.tries == 0 {
                    entry.asked = now;
                }
                entry.tries += 1;
            }
            soonest = soonest.min(entry.at);
            true
        });
        self.given_up += (before - self.missing.len()) as i64;
        self.next_due = soonest;
        asked
    }

    /// The stream paused or restarted: what is missing will not come.
    pub fn reset(&mut self) {
        self.missing.clear();
        self.next_due = f64::INFINITY;
        self.highest = -1;
    }
}
