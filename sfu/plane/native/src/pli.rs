//! When to ask a publisher for a key frame: at most once per interval, and no request is forgotten.

const INTERVAL: f64 = 0.5;

pub struct PliThrottle {
    sent: f64,
    wanted: bool,
}

impl Default for PliThrottle {
    fn default() -> Self {
        PliThrottle { sent: f64::NEG_INFINITY, wanted: false }
    }
}

impl PliThrottle {
    /// Whether to send one now.
    pub fn request(&mut self, now: f64) -> bool {
        self.wanted = true;
        self.due(now)
    }

    /// Whether a remembered request is to be sent now.
    pub fn due(&mut self, now: f64) -> bool {
        if !self.wanted || now - self.sent < INTERVAL {
            return false;
        }
        self.wanted = false;
        self.sent = now;
        true
    }

    /// It could not be sent after all: due again at once.
    pub fn put_back(&mut self) {
        self.wanted = true;
        self.sent = f64::NEG_INFINITY;
    }

    /// One arrived: what was wanted is there.
    pub fn keyframe(&mut self) {
        self.wanted = false;
    }
}
