//! The header Accept (RFC 9110 section 12.5.1).

use eat::MediaType;

/// Whether the most specific of the ranges that cover `media_type` has a weight above 0; of equally specific ones
/// the highest weight counts. Ranges that cannot be read count for nothing.
pub(crate) fn accepts<'a>(values: impl Iterator<Item = &'a str>, media_type: &str) -> bool {
    values
        .flat_map(ranges)
        .filter_map(MediaType::parse)
        .filter_map(|range| {
            let specific = match range.essence() {
                "*/*" => 0,
                "application/*" => 1,
                exact if exact == media_type => 2,
                _ => return None,
            };
            let weight = range.parameter("q").map_or(Some(1000), thousandths)?;
            Some((specific, weight))
        })
        .max()
        .is_some_and(|(_, weight)| weight > 0)
}

/// The parts between the commas that stand outside of quoted strings.
fn ranges(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '"' if !was_escaped => is_quoted = !is_quoted,
            '\\' => is_escaped = is_quoted && !was_escaped,
            _ => {}
        }
        character == ',' && !is_quoted
    })
}

/// A weight: 0 to 1 with at most three decimals (section 12.4.2).
fn thousandths(q: &str) -> Option<u16> {
    let (whole, decimals) = q.split_once('.').unwrap_or((q, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" if is_number => Some(decimals),
        "1" if is_number && decimals == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    fn accepts(values: &[&str]) -> bool {
        super::accepts(values.iter().copied(), teep::MEDIA_TYPE)
    }

    /// Proves: H-21
    #[test]
    fn accept_is_read_as_a_list_of_weighted_ranges() {
        for suitable in [
            "application/teep+cbor",
            "APPLICATION/TEEP+CBOR",
            "text/html, application/teep+cbor;q=0.1",
            "application/*",
            "text/html;level=1 , */* ; q=0.5",
            "nonsense, application/teep+cbor; charset=utf-8",
            "application/teep+cbor;q=1.000",
            // What cannot be read does not stand in the way of what can.
            "application/teep+cbor;q=nan, application/teep+cbor",
            "text/html;a=\"\\\",\", application/teep+cbor",
        ] {
            assert!(accepts(&[suitable]), "{suitable}");
        }
        assert!(accepts(&["text/html", "application/teep+cbor"]));
        for unsuitable in [
            "",
            "text/html",
            "application/teep",
            "application/teep+cbor;q=0",
            "application/teep+cbor;q=0.000, */*",
            "application/teep+cbor;q=much",
            "application/teep+cbor;q=inf",
            "application/teep+cbor;q=1.001",
            "application/teep+cbor;q=0.0001",
            "application/teep+cbor;q=1e3",
            "application/otrp+json",
            "text/html;a=\"b, application/teep+cbor, c\"",
            "text/html;a=\"\\\", application/teep+cbor, c\"",
        ] {
            assert!(!accepts(&[unsuitable]), "{unsuitable}");
        }
        assert!(!accepts(&[]));
    }
}
