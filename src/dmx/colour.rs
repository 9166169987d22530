//! Colours: what of an RGB colour each channel of a fixture gives, and which colour its channels show together.
//!
//! Values are parts of full, 0..=1. A fixture with red, green and blue takes the part that all three share out of them for
//! its whites; what is left of yellow and orange goes to amber, of yellow-green to lime, and so on. The sum is the colour again. Other
//! fixtures come as near as they can.

use super::{Kind, Parameter, Rgb};

/// A colour as parts of full.
type Parts = [f64; 3];

/// Emitters that take their part of a colour after the whites and before red, green and blue: the light of each.
const MIXED: [(Kind, Parts); 6] = [
    (Kind::Amber, [1.0, 0.5, 0.0]),
    (Kind::Lime, [0.5, 1.0, 0.0]),
    (Kind::Cyan, [0.0, 1.0, 1.0]),
    (Kind::Magenta, [1.0, 0.0, 1.0]),
    (Kind::Yellow, [1.0, 1.0, 0.0]),
    (Kind::Uv, [0.0, 0.0, 0.0]), // what people see of it is no colour to mix with
];

const PRIMARIES: [Kind; 3] = [Kind::Red, Kind::Green, Kind::Blue];
const FLAGS: [Kind; 3] = [Kind::Cyan, Kind::Magenta, Kind::Yellow];
const WHITES: [Kind; 3] = [Kind::White, Kind::WarmWhite, Kind::ColdWhite];

fn has(parameters: &[Parameter], kind: Kind) -> bool {
    parameters.iter().any(|parameter| parameter.kind == kind)
}

/// Cyan, magenta and yellow that take light away: without red, green and blue beside them.
fn subtracts(parameters: &[Parameter]) -> bool {
    FLAGS.iter().all(|&flag| has(parameters, flag)) && !PRIMARIES.iter().all(|&primary| has(parameters, primary))
}

/// Whether a fixture has any colour to choose.
#[must_use]
pub(super) fn has_colour(parameters: &[Parameter]) -> bool {
    parameters
        .iter()
        .any(|parameter| parameter.kind.mixes() || parameter.kind == Kind::Cct || !parameter.colors.is_empty())
}

/// What a fixture's parameters have to be for a colour: by place in the list, in their own bits. Those that have no part in it,
/// intensity above all, are not in it.
#[must_use]
pub(super) fn spread(parameters: &[Parameter], colour: Rgb) -> Vec<(usize, u32)> {
    let parts = [colour.r, colour.g, colour.b].map(|level| f64::from(level) / 255.0);
    let mixes = parameters.iter().any(|parameter| parameter.kind.mixes());
    let part = by_kind(parameters, parts);
    let value = |parameter: &Parameter| match parameter.kind {
        kind if kind.mixes() => Some(part_of_full(parameter, part(kind))),
        // beside mixed colours a temperature is a choice of its own
        Kind::Cct if !mixes => temperature(parts).map(|cold| part_of_full(parameter, cold)),
        // beside mixed colours a wheel is open
        Kind::ColorWheel => nearest(parameter, if mixes { [1.0; 3] } else { parts }),
        _ => None,
    };
    parameters.iter().enumerate().filter_map(|(n, parameter)| Some((n, value(parameter)?))).collect()
}

/// The part of each kind in a colour.
fn by_kind(parameters: &[Parameter], colour: Parts) -> impl Fn(Kind) -> f64 {
    let mut left = colour;
    let mut of: Vec<(Kind, f64)> = Vec::new();
    if subtracts(parameters) {
        of.extend(FLAGS.iter().zip(colour).map(|(&flag, part)| (flag, 1.0 - part)));
    } else if PRIMARIES.iter().all(|&primary| has(parameters, primary)) {
        let white = least(colour);
        if WHITES.iter().any(|&kind| has(parameters, kind)) {
            of.extend(WHITES.map(|kind| (kind, white)));
            left = left.map(|part| part - white);
        }
        for (kind, light) in MIXED.into_iter().filter(|(kind, _)| has(parameters, *kind)) {
            // what all three share stays theirs: it is white
            let above = left.map(|part| part - least(left));
            let most = above.into_iter().zip(light).filter(|(_, light)| *light > 0.0);
            let part = most.map(|(above, light)| above / light).reduce(f64::min).unwrap_or(0.0);
            let mut taken = light.into_iter();
            left = left.map(|left| left - part * taken.next().unwrap_or(0.0));
            of.push((kind, part));
        }
        of.extend(PRIMARIES.into_iter().zip(left));
    } else {
        of = alone(parameters, colour);
    }
    move |kind| of.iter().find(|(known, _)| *known == kind).map_or(0.0, |(_, part)| *part)
}

/// Of a fixture without all of red, green and blue: each emitter as bright as what it is nearest to.
fn alone(parameters: &[Parameter], [r, g, b]: Parts) -> Vec<(Kind, f64)> {
    let most = most([r, g, b]);
    let share = |of: f64, other: f64| if of >= other { most } else { most * of / other };
    let both = has(parameters, Kind::WarmWhite) && has(parameters, Kind::ColdWhite);
    let [warm, cold] = if both { [share(r, b), share(b, r)] } else { [most; 2] };
    let own = [(Kind::Red, r), (Kind::Green, g), (Kind::Blue, b), (Kind::Amber, r.min(2.0 * g)), (Kind::Lime, g)];
    let whites = [(Kind::White, most), (Kind::WarmWhite, warm), (Kind::ColdWhite, cold)];
    let flags = [(Kind::Cyan, g.min(b)), (Kind::Magenta, r.min(b)), (Kind::Yellow, r.min(g))];
    own.into_iter().chain(whites).chain(flags).collect()
}

/// How cold a colour is, 0..=1; `None`: it has no temperature.
fn temperature([r, _, b]: Parts) -> Option<f64> {
    let most = r.max(b);
    (most > 0.0).then(|| 0.5 + (b - r) / (2.0 * most))
}

/// The value of the wheel's colour that is nearest; `None`: black, at which a wheel stays where it is.
fn nearest(parameter: &Parameter, colour: Parts) -> Option<u32> {
    let most = most(colour);
    let full = colour.map(|part| part / most);
    let away = |rgb: Rgb| {
        let parts = [rgb.r, rgb.g, rgb.b].map(|level| f64::from(level) / 255.0);
        parts.into_iter().zip(full).map(|(one, other)| (one - other).powi(2)).sum::<f64>()
    };
    let colours = parameter.colors.iter().filter(|_| most > 0.0);
    colours.min_by(|(_, one), (_, other)| away(*one).total_cmp(&away(*other))).map(|(value, _)| *value)
}

fn least(parts: Parts) -> f64 {
    parts.into_iter().fold(1.0, f64::min)
}

fn most(parts: Parts) -> f64 {
    parts.into_iter().fold(0.0, f64::max)
}

/// A part of full, 0..=1, in the parameter's own bits.
#[must_use]
pub(super) fn part_of_full(parameter: &Parameter, part: f64) -> u32 {
    (part.clamp(0.0, 1.0) * f64::from(parameter.full())).round() as u32
}

/// The colour that values show together, without intensity; `None` if the fixture has none. `value` gives that of a parameter by its place in
/// the list, in its own bits.
#[must_use]
pub(super) fn shown(parameters: &[Parameter], value: impl Fn(usize) -> u32) -> Option<Rgb> {
    if !has_colour(parameters) {
        return None;
    }
    let part = |kind: Kind| {
        let found = parameters.iter().enumerate().find(|(_, parameter)| parameter.kind == kind);
        found.map_or(0.0, |(n, parameter)| f64::from(value(n)) / f64::from(parameter.full()))
    };
    let mixed = || {
        // several whites share one part of a colour
        let white = most(WHITES.map(part));
        let others = Kind::WORDS.iter().map(|(_, kind)| *kind).filter(|kind| !WHITES.contains(kind));
        others.fold([white; 3], |sum: Parts, kind| {
            let mut light = light(kind).into_iter();
            sum.map(|sum| sum + part(kind) * light.next().unwrap_or(0.0))
        })
    };
    let parts = if subtracts(parameters) {
        FLAGS.map(|flag| 1.0 - part(flag))
    } else if parameters.iter().any(|parameter| parameter.kind.mixes()) {
        mixed()
    } else {
        return wheel(parameters, &value).or_else(|| {
            let cold = part(Kind::Cct);
            Some(rgb([(2.0 - 2.0 * cold).min(1.0), 1.0 - (cold - 0.5).abs() / 2.0, (2.0 * cold).min(1.0)]))
        });
    };
    Some(rgb(parts))
}

/// The light of an emitter.
fn light(kind: Kind) -> Parts {
    match kind {
        Kind::Red => [1.0, 0.0, 0.0],
        Kind::Green => [0.0, 1.0, 0.0],
        Kind::Blue => [0.0, 0.0, 1.0],
        _ => MIXED.into_iter().find(|(known, _)| *known == kind).map_or([0.0; 3], |(_, light)| light),
    }
}

/// The colour of a wheel's value.
fn wheel(parameters: &[Parameter], value: &impl Fn(usize) -> u32) -> Option<Rgb> {
    let (n, wheel) = parameters.iter().enumerate().find(|(_, parameter)| !parameter.colors.is_empty())?;
    wheel.colors.iter().min_by_key(|(known, _)| known.abs_diff(value(n))).map(|(_, rgb)| *rgb)
}

fn rgb(parts: Parts) -> Rgb {
    let [r, g, b] = parts.map(|part| (part.clamp(0.0, 1.0) * 255.0).round() as u8);
    Rgb { r, g, b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixture(kinds: &[Kind], channels: u16) -> Vec<Parameter> {
        let parameter = |(n, &kind): (u16, &Kind)| Parameter {
            places: (n * channels..(n + 1) * channels).collect(),
            ..Parameter::plain(kind, 0)
        };
        (0..).zip(kinds).map(parameter).collect()
    }

    /// Fixtures that can show every colour.
    fn complete() -> impl Strategy<Value = Vec<Parameter>> {
        use Kind::{
            Amber, Blue, ColdWhite, Cyan, Green, Intensity, Lime, Magenta, Pan, Red, Uv, WarmWhite, White, Yellow,
        };
        let more = prop::sample::subsequence(
            vec![White, WarmWhite, ColdWhite, Amber, Lime, Cyan, Magenta, Yellow, Uv, Intensity, Pan],
            0..=8,
        );
        let additive = (more, Just([Red, Green, Blue])).prop_map(|(more, rgb)| [&more[..], &rgb].concat());
        let subtractive = Just(vec![Intensity, Cyan, Magenta, Yellow]);
        (prop_oneof![6 => additive, 1 => subtractive], 1..=3u16).prop_map(|(kinds, channels)| fixture(&kinds, channels))
    }

    fn colours() -> impl Strategy<Value = Rgb> {
        let level = || prop_oneof![any::<u8>(), Just(0), Just(255)];
        (level(), level(), level()).prop_map(|(r, g, b)| Rgb { r, g, b })
    }

    fn values(parameters: &[Parameter], colour: Rgb) -> impl Fn(usize) -> u32 {
        let spread = spread(parameters, colour);
        move |n| spread.iter().find(|(at, _)| *at == n).map_or(0, |(_, value)| *value)
    }

    /// The hue of a colour, in degrees; `None`: it is grey.
    fn hue(colour: Rgb) -> Option<f64> {
        let [r, g, b] = [colour.r, colour.g, colour.b].map(f64::from);
        let (alpha, beta) = (r - (g + b) / 2.0, 3f64.sqrt() / 2.0 * (g - b));
        (alpha.hypot(beta) > 12.0).then(|| beta.atan2(alpha).to_degrees())
    }

    proptest! {
        #[test]
        fn a_colour_comes_back_from_what_it_was_spread_over(parameters in complete(), colour in colours()) {
            let back = shown(&parameters, values(&parameters, colour)).unwrap();
            for (asked, shown) in [(colour.r, back.r), (colour.g, back.g), (colour.b, back.b)] {
                prop_assert!(asked.abs_diff(shown) <= 2, "{:?} came back as {:?}", colour, back);
            }
            if let (Some(asked), Some(shown)) = (hue(colour), hue(back)) {
                let away = (asked - shown).abs();
                prop_assert!(away.min(360.0 - away) <= 12.0, "{:?} and {:?}: {} degrees", colour, back, away);
            }
        }

        #[test]
        fn black_is_dark_and_intensity_and_position_are_left_alone(parameters in complete()) {
            let subtracts = subtracts(&parameters);
            for (n, value) in spread(&parameters, Rgb::default()) {
                prop_assert_eq!(value, if subtracts { parameters[n].full() } else { 0 });
                prop_assert!(parameters[n].kind.mixes());
            }
        }

        #[test]
        fn full_white_lights_all_that_is_white(parameters in complete()) {
            let white = Rgb { r: 255, g: 255, b: 255 };
            let of = values(&parameters, white);
            let whites = parameters.iter().enumerate().filter(|(_, parameter)| WHITES.contains(&parameter.kind));
            for (n, parameter) in whites {
                prop_assert_eq!(of(n), parameter.full());
            }
            prop_assert_eq!(shown(&parameters, &of), Some(white));
        }
    }

    #[test]
    fn each_fixture_comes_as_near_as_it_can() {
        use Kind::{Amber, Blue, Cct, ColdWhite, ColorWheel, Green, Intensity, Red, WarmWhite, White};
        let spread_over = |kinds: &[Kind], r, g, b| -> Vec<u32> {
            let parameters = fixture(kinds, 1);
            spread(&parameters, Rgb { r, g, b }).into_iter().map(|(_, value)| value).collect()
        };
        assert_eq!(spread_over(&[Red, Green, Blue, White], 255, 100, 55), [200, 45, 0, 55]);
        assert_eq!(spread_over(&[Red, Green, Blue, Amber], 254, 200, 0), [0, 73, 0, 254]);
        assert_eq!(spread_over(&[Red, Green, Blue, Amber], 255, 255, 255), [255, 255, 255, 0]);
        assert_eq!(spread_over(&[WarmWhite, ColdWhite], 255, 255, 255), [255, 255]);
        assert_eq!(spread_over(&[WarmWhite, ColdWhite], 255, 200, 51), [255, 51]);
        assert_eq!(spread_over(&[Intensity, Cct], 255, 255, 255), [128]);
        assert_eq!(spread_over(&[Intensity], 255, 0, 0), [0; 0], "a dimmer has no colour");
        let colours = vec![(0, Rgb { r: 255, g: 255, b: 255 }), (20, Rgb { r: 255, g: 0, b: 0 })];
        let wheel = Parameter { colors: colours, ..Parameter::plain(ColorWheel, 0) };
        assert_eq!(spread(std::slice::from_ref(&wheel), Rgb { r: 90, g: 10, b: 10 }), [(0, 20)]);
        assert_eq!(spread(std::slice::from_ref(&wheel), Rgb::default()), [], "dark, it stays where it is");
        let mixed = [fixture(&[Red, Green, Blue], 1), vec![wheel]].concat();
        assert_eq!(spread(&mixed, Rgb { r: 255, g: 0, b: 0 }).last(), Some(&(3, 0)), "open beside mixed colours");
    }
}
