//! Finding bandwidth that is not used yet: short clusters above the present estimate; see `sfu/probing.py`.

use std::hint::black_box;

use crate::sendlog::Outcome;

const FIRST: f64 = 3.0;
const STEP: f64 = 2.0;
const WORTH: f64 = 1.05;
const LEAST_TIME: f64 = 0.055;
const MOST_TIME: f64 = 0.3;
const LEAST_OCTETS: i64 = 1500;
const LEAST_PACKETS: i64 = 5;
const RESULT_TIME: f64 = 1.0;
const SOONEST: f64 = 1.0;
const LATEST: f64 = 3.0;
const AGAIN: f64 = 0.4;
const PROGRESS: f64 = 1.2;
const GOOD: f64 = 0.9;
const CLEAN: f64 = 0.95;
const FULL: f64 = 0.9;
const UTILISED: f64 = 0.95;

/// A probe: `number` marks its packets, `rate` is tried until `octets` have left.
pub struct Cluster {
    pub number: u16,
    rate: f64,
    estimate: f64,
    octets: i64,
    started: f64,
    sent_at: Option<f64>,
    left: i64,
    count: i64,
    /// Sent, arrived, size.
    came: Vec<(f64, f64, i64)>,
}

impl Cluster {
    fn new(number: u16, rate: f64, estimate: f64, jitter: f64, now: f64) -> Self {
        let time = MOST_TIME.min(LEAST_TIME.max(4.0 * jitter));
        Cluster {
            number,
            rate,
            estimate,
            octets: LEAST_OCTETS.max((rate * time / 8.0) as i64),
            started: now,
            sent_at: None,
            left: 0,
            count: 0,
            came: Vec::new(),
        }
    }

    /// How large its packets should be at most, so that there are enough of them.
    pub fn packet(&self) -> i64 {
        1200.min(self.octets / LEAST_PACKETS)
    }

    /// Bytes that should have left by now and have not.
    pub fn due(&self, now: f64) -> i64 {
        let planned = ((now - self.started) * self.rate / 8.0) as i64;
        (self.octets - self.left).min(planned + self.packet() - self.left)
    }

    /// The rate that the path has shown; None while too little came back.
    fn rate_shown(&self) -> Option<f64> {
        let count = self.came.len() as i64;
        if count < (LEAST_PACKETS - 1).max((0.8 * self.count as f64) as i64) {
            return None;
        }
        let mut rows = self.came.clone();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sent_rate = rate(rows.iter().map(|row| (row.0, row.2)));
        let came_rate = rate(rows.iter().map(|row| (row.1, row.2)));
        if sent_rate <= 0.0 || came_rate <= 0.0 {
            return None;
        }
        if came_rate >= FULL * sent_rate && sent_rate >= FULL * self.rate {
            return Some(self.rate); // what is missing is how exactly so few packets can tell
        }
        Some(self.rate.min(UTILISED * came_rate).min(sent_rate))
    }
}

/// Bit/s, from the line that fits best the times at which so many bytes in all had passed.
fn rate(rows: impl Iterator<Item = (f64, i64)>) -> f64 {
    let mut total = 0;
    let rows: Vec<(f64, i64)> = rows
        .map(|(time, size)| {
            total += size;
            (time, total)
        })
        .collect();
    let count = rows.len() as f64;
    let mean_total = rows.iter().map(|row| row.1).sum::<i64>() as f64 / count;
    let mean_time = rows.iter().fold(0.0, |sum, row| sum + row.0) / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (time, passed) in rows {
        let away = passed as f64 - mean_total;
        above += away * (time - mean_time);
        below += away.powf(black_box(2.0)); // as Python squares
    }
    if above > 0.0 {
        8.0 * below / above
    } else {
        0.0
    }
}

/// What a new cluster depends on.
pub struct Path {
    pub estimate: f64,
    pub wanted: f64,
    pub overused_at: f64,
    pub round_trip: f64,
    pub jitter: f64,
}

/// Asked on every tick (`due`), told of what left (`sent`) and of feedback (`outcome`).
pub struct Prober {
    pub cluster: Option<Cluster>,
    pub successes: i64,
    pub failures: i64,
    /// Hardly anything of the last cluster with a result was lost.
    pub clean: bool,
    waiting: Option<Cluster>,
    number: u16,
    next_at: f64,
    pause: f64,
}

impl Default for Prober {
    fn default() -> Self {
        Prober {
            cluster: None,
            successes: 0,
            failures: 0,
            clean: false,
            waiting: None,
            number: 0,
            next_at: f64::NEG_INFINITY,
            pause: SOONEST,
        }
    }
}

impl Prober {
    pub fn idle(&self) -> bool {
        self.cluster.is_none() && self.waiting.is_none()
    }

    /// Whether there is a cluster to send for now, a new one where it is time.
    pub fn due(&mut self, path: &Path, now: f64) -> bool {
        if let Some(cluster) = &self.cluster {
            let most = 4.0 * cluster.octets as f64 * 8.0 / cluster.rate;
            if cluster.left < cluster.octets && now - cluster.started < most {
                return true;
            }
            self.sent_all(now);
        }
        if let Some(waiting) = &self.waiting {
            // A time of zero counts as none, as it does in Python.
            let sent_at = waiting.sent_at.filter(|at| *at != 0.0).unwrap_or(now);
            if now - sent_at > RESULT_TIME + path.round_trip {
                self.fail(now, false);
            }
            return false;
        }
        if now - path.overused_at < SOONEST {
            self.next_at = self.next_at.max(path.overused_at + self.pause);
        }
        if path.wanted < WORTH * path.estimate || now < self.next_at {
            return false;
        }
        let rate = path.wanted.min(path.estimate * if self.successes > 0 { STEP } else { FIRST });
        self.number = self.number % 0xFFFF + 1;
        self.cluster = Some(Cluster::new(self.number, rate, path.estimate, path.jitter, now));
        true
    }

    /// A packet of the present cluster has left, media or padding.
    pub fn sent(&mut self, size: usize, now: f64) {
        if let Some(cluster) = &mut self.cluster {
            cluster.left += size as i64;
            cluster.count += 1;
            cluster.sent_at = Some(now);
            if cluster.left >= cluster.octets {
                self.sent_all(now);
            }
        }
    }

    /// There is nothing to send it with.
    pub fn stop(&mut self, now: f64) {
        self.cluster = None;
        self.waiting = None;
        self.next_at = now + SOONEST;
    }

    fn sent_all(&mut self, now: f64) {
        self.waiting = self.cluster.take();
        if let Some(waiting) = &mut self.waiting {
            waiting.sent_at.get_or_insert(now);
        }
    }

    /// The rate that a probe has shown, once there is a result.
    pub fn outcome(&mut self, outcome: &Outcome, overused: bool, now: f64) -> Option<f64> {
        let present = self.waiting.as_mut().or(self.cluster.as_mut())?;
        for arrival in &outcome.arrivals {
            if arrival.cluster == present.number {
                present.came.push((arrival.sent, arrival.arrived, arrival.size));
            }
        }
        let waiting = self.waiting.as_ref()?;
        if overused {
            self.fail(now, false);
            return None;
        }
        let shown = waiting.rate_shown()?;
        self.clean = waiting.came.len() as f64 >= CLEAN * waiting.count as f64;
        if shown >= GOOD * waiting.rate {
            self.waiting = None;
            self.successes += 1;
            self.pause = SOONEST;
            self.next_at = now;
        } else {
            let progress = shown >= PROGRESS * waiting.estimate;
            self.fail(now, progress);
        }
        Some(shown)
    }

    fn fail(&mut self, now: f64, progress: bool) {
        self.waiting = None;
        self.cluster = None;
        self.failures += 1;
        if progress {
            self.pause = SOONEST;
            self.next_at = now + AGAIN;
            return;
        }
        self.next_at = now + self.pause;
        self.pause = LATEST.min(2.0 * self.pause);
    }
}
