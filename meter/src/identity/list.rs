//! Lists among the claims of a JWT, as Envoy hands them over: their number, the length of each element and of an empty text
//! behind it, then the elements, each with a NUL behind it and behind the empty text. Numbers are little-endian, of four bytes.

use super::{Refusal, checked, pattern::Pattern};

/// The tenant of the one element that the pattern matches.
pub(super) fn tenant(list: &[u8], pattern: &Pattern) -> Result<String, Refusal> {
    let mut found = None;
    for element in elements(list).ok_or(Refusal::InvalidValue)? {
        // What is no text is another's element, as is what does not match.
        let Ok(text) = std::str::from_utf8(element) else { continue };
        match pattern.tenant(text) {
            Err(Refusal::NoMatch) => {}
            Ok(tenant) if found.as_ref().is_none_or(|known| *known == tenant) => found = Some(tenant),
            Ok(_) => return Err(Refusal::SeveralMatches),
            Err(refusal) => return Err(refusal),
        }
    }
    found.ok_or(Refusal::NoMatch)
}

/// The first element, if it can be a tenant or the pattern makes it one.
pub(super) fn first(list: &[u8], pattern: Option<&Pattern>) -> Result<String, Refusal> {
    let first = elements(list).ok_or(Refusal::InvalidValue)?.next().ok_or(Refusal::NoClaim)?;
    match pattern {
        None => checked(first).map(str::to_owned),
        Some(pattern) => pattern.tenant(std::str::from_utf8(first).map_err(|_| Refusal::InvalidValue)?),
    }
}

/// The elements, if the bytes are a list and nothing else.
#[inline(never)]
fn elements(list: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let number = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
    let (count, rest) = list.split_first_chunk::<4>()?;
    let (lengths, mut rest) = rest.split_at_checked(number(count)?.checked_mul(8)?)?;
    let (lengths, _) = lengths.as_chunks::<4>();
    let mut found = Vec::with_capacity(lengths.len() / 2);
    for pair in lengths.chunks_exact(2) {
        let [size, empty] = pair else { return None };
        let (element, behind) = rest.split_at_checked(number(size)?)?;
        rest = behind.strip_prefix(b"\0\0")?;
        if number(empty)? > 0 {
            return None;
        }
        found.push(element);
    }
    rest.is_empty().then(|| found.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(elements: &[&[u8]]) -> Vec<u8> {
        let number = |size: usize| u32::try_from(size).unwrap().to_le_bytes();
        let mut bytes = number(elements.len()).to_vec();
        for element in elements {
            bytes.extend(number(element.len()).into_iter().chain(number(0)));
        }
        for element in elements {
            bytes.extend(element.iter().chain(b"\0\0"));
        }
        bytes
    }

    cases! {
        fn deterministic_the_one_element_that_matches_names_the_tenant() {
            let pattern = Pattern::parse("tenant:{t}", "org/{t}").unwrap();
            type Case<'c> = (&'c [&'c [u8]], Result<&'c str, Refusal>);
            let cases: [Case<'_>; 8] = [
                (&[b"dev", b"tenant:acme", b"ops"], Ok("org/acme")),
                (&[b"tenant:acme", b"tenant:acme"], Ok("org/acme")),
                (&[b"tenant:acme", b"tenant:globex"], Err(Refusal::SeveralMatches)),
                (&[b"dev"], Err(Refusal::NoMatch)),
                (&[], Err(Refusal::NoMatch)),
                (&[b"\xff", &7f64.to_le_bytes(), b"tenant:acme"], Ok("org/acme")),
                (&[b"tenant:.."], Err(Refusal::InvalidValue)),
                (&[b"tenant:a b", b"tenant:acme"], Err(Refusal::InvalidValue)),
            ];
            for (elements, expected) in cases {
                assert_eq!(tenant(&list(elements), &pattern), expected.map(str::to_owned), "{elements:?}");
            }
        }

        fn deterministic_the_first_element_names_the_tenant() {
            assert_eq!(first(&list(&[b"acme", b"globex"]), None), Ok("acme".to_owned()));
            assert_eq!(first(&list(&[]), None), Err(Refusal::NoClaim));
            assert_eq!(first(&list(&[b"unknown"]), None), Err(Refusal::ReservedName));
            let pattern = Pattern::parse("tenant:{t}", "{t}").unwrap();
            assert_eq!(first(&list(&[b"tenant:acme"]), Some(&pattern)), Ok("acme".to_owned()));
            assert_eq!(first(&list(&[b"dev", b"tenant:acme"]), Some(&pattern)), Err(Refusal::NoMatch));
        }

        fn contract_bytes_that_are_no_list_name_nobody() {
            let good = list(&[b"acme", b"x"]);
            for end in 0..good.len() {
                assert_eq!(first(&good[..end], None), Err(Refusal::InvalidValue), "{end}");
            }
            let more = [&good[..], b"x"].concat();
            for bad in [&b"acme"[..], b"", &[0xff; 64], b"\xff\xff\xff\x7f", &more] {
                assert_eq!(first(bad, None), Err(Refusal::InvalidValue), "{}", bad.escape_ascii());
            }
            // An object: each of its values stands where a list has nothing.
            let object = b"\x01\0\0\0\x04\0\0\0\x01\0\0\0acme\0x\0";
            assert_eq!(first(object, None), Err(Refusal::InvalidValue));
        }
    }
}
