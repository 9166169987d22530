//! How two topic filters lie to each other. Pure.

/// Whether a wildcard in front of a filter would hide its topics ([MQTT-4.7.2-1]).
fn hides(wild: &str, other: &str) -> bool {
    wild.starts_with(['+', '#']) && other.starts_with('$')
}

/// Whether some topic matches both filters. May say yes where only topics that nobody can publish do.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    if hides(a, b) || hides(b, a) {
        return false;
    }
    let (mut left, mut right) = (a.split('/'), b.split('/'));
    loop {
        match (left.next(), right.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
            _ => return false,
        }
    }
}

/// Whether every topic of the filter `inner` matches `outer`.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    if hides(outer, inner) {
        return false;
    }
    let (mut outer, mut inner) = (outer.split('/'), inner.split('/'));
    loop {
        match (outer.next(), inner.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::topic::Filter;
    use proptest::prelude::*;

    #[test]
    fn a_filter_covers_what_it_names_and_its_parent() {
        for (outer, inner, expected) in [
            ("#", "a/+/b", true),
            ("a/#", "a", true),
            ("a/#", "a/#", true),
            ("a/+", "a/#", false),
            ("a/+", "a/+", true),
            ("+/b", "a/b", true),
            ("a/b", "a/+", false),
            ("#", "$SYS/#", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
        ] {
            assert_eq!(covers(outer, inner), expected, "{outer} {inner}");
        }
        assert!(overlap("a/#", "a") && overlap("+/b", "a/+") && overlap("a/#", "+/b/c"));
        assert!(!overlap("a/+", "a") && !overlap("#", "$SYS/x") && !overlap("a/b", "a/+/c"));
    }

    proptest! {
        /// What is said of two filters is true of each topic.
        #[test]
        fn each_topic_agrees(a in "[ab+](/[ab+]){0,2}(/#)?", b in "[ab+$](/[ab+]){0,2}(/#)?", topic in "[ab$](/[ab]){0,3}") {
            let matches = |text: &str| Filter::new(text).unwrap().matches(&topic);
            if covers(&a, &b) && matches(&b) {
                prop_assert!(matches(&a));
            }
            if matches(&a) && matches(&b) {
                prop_assert!(overlap(&a, &b));
            }
            if covers(&a, &b) {
                prop_assert!(overlap(&a, &b) && overlap(&b, &a));
            }
        }
    }
}
