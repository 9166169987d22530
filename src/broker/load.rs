//! Moving averages of what passes in a minute, as Mosquitto computes them (its `sys_tree.c`): over one, five and fifteen
//! minutes, each weighted by age. Pure.

/// Names of the averages, and their time in seconds.
const OVER: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// One figure that rises, and how fast.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// `load/bytes/received`
    name: &'static str,
    last: u64,
    averages: [f64; 3],
}

impl Load {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, last: 0, averages: [0.0; 3] }
    }

    /// So much it is now, so many seconds after the last time.
    pub(super) fn look(&mut self, total: u64, seconds: f64) {
        if seconds <= 0.0 {
            return;
        }
        let per_minute = total.saturating_sub(self.last) as f64 * 60.0 / seconds;
        self.last = total;
        for (average, (_, over)) in self.averages.iter_mut().zip(OVER) {
            *average = per_minute + (-seconds / over).exp() * (*average - per_minute);
        }
    }

    /// Names and values, two digits behind the point.
    pub(super) fn shown(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let shown =
            |(average, (over, _)): (&f64, (&str, f64))| (format!("{}/{over}", self.name), format!("{average:.2}"));
        self.averages.iter().zip(OVER).map(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(load: &Load) -> Vec<String> {
        load.shown().map(|(_, value)| value).collect()
    }

    #[test]
    fn what_goes_on_is_approached_and_what_is_over_is_forgotten() {
        let mut load = Load::new("load/bytes/sent");
        assert_eq!(values(&load), ["0.00", "0.00", "0.00"]);
        load.look(100, 10.0);
        // 600 a minute: 600 × (1 − e^(−10/60)), and so on
        assert_eq!(values(&load), ["92.11", "19.67", "6.63"]);
        for n in 2..=1_000 {
            load.look(n * 100, 10.0);
        }
        assert_eq!(values(&load), ["600.00", "600.00", "599.99"]);
        load.look(100_000, 60.0);
        assert_eq!(values(&load), ["220.73", "491.24", "561.30"]);
        load.look(100_000, 0.0);
        assert_eq!(load.shown().next().unwrap(), ("load/bytes/sent/1min".into(), "220.73".into()));
    }
}
