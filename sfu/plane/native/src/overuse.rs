//! Is a queue building up on the way? The delay-based half of congestion control; see `sfu/overuse.py`.

use std::hint::black_box;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    Normal,
    Over,
    Under,
}

const GROUP: f64 = 5.0;
const BURST: f64 = 100.0;
const RESET: f64 = 3000.0;
const POINTS: usize = 20;
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
const MAX_DELTAS: i64 = 60;
const START_THRESHOLD: f64 = 12.5;
const LEAST_THRESHOLD: f64 = 6.0;
const MOST_THRESHOLD: f64 = 600.0;
const UP: f64 = 0.0087;
const DOWN: f64 = 0.039;
const OUTLIER: f64 = 15.0;
const OVERUSE_TIME: f64 = 10.0;
const LEAST_QUEUE: f64 = 25.0;
const SPIKE: f64 = 100.0;
const ROW: usize = 4;
const WINDOW: f64 = 10.0;

/// First and last send time, first and last arrival of one group, in milliseconds.
#[derive(Clone, Copy)]
struct Group {
    first_sent: f64,
    last_sent: f64,
    first_arrived: f64,
    last_arrived: f64,
}

/// Feed it packets in order of arrival. Milliseconds inside, seconds at the surface.
pub struct Overuse {
    pub usage: Usage,
    pub jitter: f64,
    threshold: f64,
    trend: f64,
    current: Option<Group>,
    complete: Option<Group>,
    delay: f64,
    smoothed: f64,
    slow: Option<f64>,
    row: Vec<f64>,
    deltas: i64,
    count: i64,
    times: Vec<f64>,
    values: Vec<f64>,
    previous_trend: f64,
    over_since: f64,
    last_update: f64,
    base: f64,
    base_before: f64,
    base_at: f64,
}

impl Default for Overuse {
    fn default() -> Self {
        Overuse {
            usage: Usage::Normal,
            jitter: 0.0,
            threshold: START_THRESHOLD,
            trend: 0.0,
            current: None,
            complete: None,
            delay: 0.0,
            smoothed: 0.0,
            slow: None,
            row: Vec::new(),
            deltas: 0,
            count: 0,
            times: Vec::new(),
            values: Vec::new(),
            previous_trend: 0.0,
            over_since: -1.0,
            last_update: -1.0,
            base: f64::INFINITY,
            base_before: f64::INFINITY,
            base_at: f64::NEG_INFINITY,
        }
    }
}

impl Overuse {
    fn least_in_row(&self) -> f64 {
        self.row.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Seconds that packets wait on the way beyond the least of late.
    pub fn queue(&self) -> f64 {
        let Some(slow) = self.slow else { return 0.0 };
        (slow.max(self.least_in_row()) - self.base.min(self.base_before)).max(0.0) / 1000.0
    }

    /// The same for the least delayed of the last packets.
    pub fn standing(&self) -> f64 {
        if self.slow.is_none() {
            return 0.0;
        }
        (self.least_in_row() - self.base.min(self.base_before)).max(0.0) / 1000.0
    }

    /// What looked like a queue did not drain: it is the way itself.
    pub fn forget_base(&mut self) {
        if let Some(slow) = self.slow {
            self.base = slow;
            self.base_before = slow;
            self.settle();
        }
    }

    /// Whether the delay still rises.
    pub fn growing(&self) -> bool {
        self.deltas.min(MAX_DELTAS) as f64 * self.trend * GAIN > self.threshold
    }

    /// What raised the delay was no queue: its trend means nothing.
    pub fn settle(&mut self) {
        if let Some(last) = self.row.last() {
            self.slow = Some(*last);
        }
        self.times.clear();
        self.values.clear();
        self.delay = 0.0;
        self.smoothed = 0.0;
        self.previous_trend = 0.0;
        self.trend = 0.0;
        self.over_since = -1.0;
        self.count = 0;
        self.usage = Usage::Normal;
    }

    /// One packet that arrived; seconds of the sender's and of the receiver's clock.
    pub fn packet(&mut self, sent: f64, arrived: f64) {
        let (sent, arrived) = (sent * 1000.0, arrived * 1000.0);
        self.row.push(arrived - sent);
        if self.row.len() > ROW {
            self.row.remove(0);
        }
        let single = Group { first_sent: sent, last_sent: sent, first_arrived: arrived, last_arrived: arrived };
        let Some(current) = self.current else {
            self.current = Some(single);
            return;
        };
        if sent < current.first_sent {
            return; // out of order
        }
        let (step, gap) = (sent - current.last_sent, arrived - current.last_arrived);
        if gap > RESET || step > RESET || arrived < current.last_arrived {
            if arrived < current.last_arrived && current.last_arrived - arrived < RESET {
                return; // told late: the group has gone by
            }
            self.restart(single);
            return;
        }
        let joined = gap <= GROUP && gap < step && arrived - current.first_arrived < BURST;
        if sent - current.first_sent <= GROUP || joined {
            self.current = Some(Group { last_sent: sent.max(current.last_sent), last_arrived: arrived, ..current });
        } else {
            if let Some(before) = self.complete {
                self.delta(
                    current.last_sent - before.last_sent,
                    current.last_arrived - before.last_arrived,
                    current.last_arrived,
                    current.last_arrived - current.last_sent,
                );
            }
            self.complete = Some(current);
            self.current = Some(single);
        }
        if self.standing() * 1000.0 > SPIKE {
            self.usage = Usage::Over;
        }
    }

    fn restart(&mut self, single: Group) {
        *self = Overuse {
            current: Some(single),
            row: vec![single.last_arrived - single.last_sent],
            threshold: self.threshold,
            jitter: self.jitter,
            count: self.count,
            ..Overuse::default()
        };
    }

    fn delta(&mut self, sent: f64, arrived: f64, at: f64, transit: f64) {
        self.deltas += 1;
        self.delay += arrived - sent;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        let slow = self.slow.unwrap_or(transit);
        self.jitter += ((arrived - sent).abs() / 1000.0 - self.jitter) / 16.0;
        let slow = SMOOTHING * slow + (1.0 - SMOOTHING) * transit;
        self.slow = Some(slow);
        if at - self.base_at > WINDOW * 1000.0 {
            self.base_before = self.base;
            self.base = slow;
            self.base_at = at;
        }
        self.base = self.base.min(slow);
        self.times.push(at);
        self.values.push(self.smoothed);
        if self.times.len() > POINTS {
            self.times.remove(0);
            self.values.remove(0);
        }
        if self.times.len() == POINTS {
            self.trend = slope(&self.times, &self.values);
        }
        self.detect(sent, at);
    }

    fn detect(&mut self, sent: f64, at: f64) {
        if self.deltas < 2 {
            self.usage = Usage::Normal;
            return;
        }
        let modified = self.deltas.min(MAX_DELTAS) as f64 * self.trend * GAIN;
        if modified > self.threshold && self.queue() * 1000.0 > LEAST_QUEUE {
            // The overuse must last, and not be on its way out.
            self.over_since = if self.over_since < 0.0 { sent / 2.0 } else { self.over_since + sent };
            self.count += 1;
            if self.over_since > OVERUSE_TIME && self.count > 1 && self.trend >= self.previous_trend {
                self.over_since = 0.0;
                self.count = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_since = -1.0;
            self.count = 0;
            self.usage = if modified < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.previous_trend = self.trend;
        self.adapt(modified.abs(), at);
    }

    fn adapt(&mut self, modified: f64, at: f64) {
        let passed = if self.last_update >= 0.0 { (at - self.last_update).min(100.0) } else { 0.0 };
        self.last_update = at;
        if modified > self.threshold + OUTLIER {
            return;
        }
        let rate = if modified < self.threshold { DOWN } else { UP };
        self.threshold += rate * (modified - self.threshold) * passed;
        self.threshold = self.threshold.min(MOST_THRESHOLD).max(LEAST_THRESHOLD);
    }
}

/// Of the least-squares line: milliseconds of delay per millisecond.
fn slope(times: &[f64], values: &[f64]) -> f64 {
    let count = times.len() as f64;
    let mean_time = times.iter().fold(0.0, |sum, time| sum + time) / count;
    let mean_value = values.iter().fold(0.0, |sum, value| sum + value) / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (time, value) in times.iter().zip(values) {
        above += (time - mean_time) * (value - mean_value);
        below += (time - mean_time).powf(black_box(2.0)); // as Python squares
    }
    if below != 0.0 {
        above / below
    } else {
        0.0
    }
}
