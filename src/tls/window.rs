//! When a certificate begins and ends, although a Pi may not know the date. Pure: all times are seconds since 1970.
//!
//! A tablet knows the date and refuses a certificate that is not valid now; a Pi without network begins in 1970, or on the day
//! of its last stop. The day of the build is known: it cannot be earlier than that. So a certificate begins then, wherever
//! the Pi believes to be, as long as its own date fits in. Once the date is known, a certificate that does not fit is made
//! anew.

/// A day, in seconds.
pub(super) const DAY: u64 = 86_400;

/// The longest that tablets accept of an authority that people have installed is 825 days (Apple, support document HT211025);
/// less, so that no rounding matters.
pub(super) const LIFE: u64 = 820 * DAY;

/// How long before its end a certificate is made anew.
const RENEWED: u64 = 30 * DAY;

/// How far back a certificate begins where the build's day is too long ago: the Pi's clock may be ahead.
const BACK: u64 = 365 * DAY;

/// From and to, both included (RFC 5280, 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Window {
    /// The one that a certificate made now should have, within that of its authority.
    pub(super) fn at(now: u64, built: u64, authority: Self) -> Self {
        let earliest = built.max(authority.from);
        let fits = Self { from: earliest, to: earliest + LIFE };
        let wanted = if fits.serves(now) || now < earliest {
            fits
        } else {
            let from = now.saturating_sub(BACK).max(earliest);
            Self { from, to: from + LIFE }
        };
        let to = wanted.to.min(authority.to);
        Self { from: wanted.from.min(to.saturating_sub(LIFE)).max(authority.from), to }
    }

    /// Whether it is valid now, and for a while.
    fn serves(&self, now: u64) -> bool {
        now >= self.from && now + RENEWED < self.to
    }

    /// Whether another one would be better now. A clock before the build is wrong and no reason.
    pub(super) fn is_due(&self, now: u64, built: u64, authority: Self) -> bool {
        !self.serves(now) && Self::at(now, built, authority) != *self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUILT: u64 = 1_780_000_000;
    const YEAR: u64 = 365 * DAY;
    const OF_CA: Window = Window { from: BUILT, to: BUILT + 24 * YEAR };

    fn at(now: u64) -> Window {
        Window::at(now, BUILT, OF_CA)
    }

    fn is_due(window: Window, now: u64) -> bool {
        window.is_due(now, BUILT, OF_CA)
    }

    #[test]
    fn a_pi_in_1970_makes_what_a_tablet_accepts_and_keeps_it_once_it_knows_the_date() {
        let made = at(60);
        assert_eq!(made, Window { from: BUILT, to: BUILT + LIFE });
        assert!(!is_due(made, 60), "not again and again while it is 1970");
        assert!(!is_due(made, BUILT + 40 * DAY), "the date is known: it fits");
        let later = BUILT + 3 * YEAR;
        assert!(is_due(made, later), "the date is known: it had ended");
        assert!(at(later).from <= later && later < at(later).to);
    }

    #[test]
    fn a_clock_that_is_ahead_ten_years_is_put_right_when_the_date_is_known() {
        let made = at(BUILT + 10 * YEAR);
        assert!(made.from > BUILT + 8 * YEAR);
        assert!(is_due(made, BUILT + 5 * DAY), "tablets refuse it: it has not begun");
        assert_eq!(at(BUILT + 5 * DAY).from, BUILT);
    }

    #[test]
    fn on_the_day_of_the_build_and_for_two_years_the_same_one_serves() {
        let made = at(BUILT);
        assert!(!is_due(made, BUILT + 700 * DAY));
        assert!(is_due(made, BUILT + LIFE - RENEWED), "renewed before its end");
    }

    #[test]
    fn the_authority_ends_and_nothing_is_made_in_vain() {
        let last = at(OF_CA.to - 5 * DAY);
        assert_eq!(last.to, OF_CA.to);
        assert!(!is_due(last, OF_CA.to - 5 * DAY));
        assert!(!is_due(at(OF_CA.to + YEAR), OF_CA.to + YEAR));
    }

    proptest! {
        #[test]
        fn what_was_just_made_is_not_due_and_no_longer_than_tablets_accept(now in 0..BUILT + 40 * YEAR) {
            let made = at(now);
            prop_assert!(!is_due(made, now));
            prop_assert!(made.to.saturating_sub(made.from) <= 825 * DAY);
            if (BUILT..OF_CA.to - RENEWED - 1).contains(&now) {
                prop_assert!(made.serves(now));
            }
        }
    }
}
