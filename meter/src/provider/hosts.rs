//! Names of hosts: what a pattern fits, what a certificate covers, and what a cluster is named after.

/// The longest name of a host in the DNS; longer ones are nobody's.
pub(super) const MAX_HOST: usize = 253;

/// The host that a cluster is named after, plainly or as Istio does: `outbound|443||api.openai.com`.
pub(super) fn host_of_cluster(cluster: &str) -> Option<&str> {
    let host = match cluster.split('|').collect::<Vec<_>>().as_slice() {
        [_direction, _port, _subset, host] => host,
        _ => cluster,
    };
    host.contains('.').then_some(host)
}

/// Whether a host, which may carry a port, is what a pattern says.
pub(super) fn is_host(pattern: &str, host: &[u8]) -> bool {
    let name = without_port(host);
    name.len() <= MAX_HOST && matches(pattern.as_bytes(), name)
}

/// Whether two hosts, which may carry ports, are the same.
pub(super) fn is_same(host: &[u8], other: &[u8]) -> bool {
    without_port(host).eq_ignore_ascii_case(without_port(other))
}

/// Whether a certificate for `name` is one for a host, by the rules of TLS: a star is one whole label, the first.
pub(super) fn covers(name: &str, host: &[u8]) -> bool {
    let (name, host) = (name.as_bytes(), without_port(host));
    match name.strip_prefix(b"*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(domain) => {
            let dot = host.iter().position(|&byte| byte == b'.').filter(|&dot| dot > 0);
            let rest = dot.and_then(|dot| host.get(dot.saturating_add(1)..));
            domain.contains(&b'.') && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
        }
    }
}

/// Whether a name is what a pattern says: a star stands for any text that has at least one character. Work is bounded by the
/// product of the lengths, whatever the number of stars.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // From the end, where nearly all patterns fail at once.
    let mut ends = pattern.iter().rev().zip(name.iter().rev());
    match ends.find(|(wanted, byte)| **wanted == b'*' || !wanted.eq_ignore_ascii_case(byte)) {
        None => pattern.len() == name.len(),
        Some((b'*', _)) => name.len() >= pattern.len() && matches_stars(pattern, name),
        Some(_) => false,
    }
}

/// The same, from the beginning.
fn matches_stars(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0usize, 0usize);
    // Behind the last star, and where its text ends; what an earlier star could take, the last one can take as well.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), name.get(seen)) {
            (None, None) => return true,
            (Some(b'*'), Some(_)) => {
                (at, seen) = (at.saturating_add(1), seen.saturating_add(1));
                star = Some((at, seen));
            }
            (Some(wanted), Some(byte)) if wanted.eq_ignore_ascii_case(byte) => {
                (at, seen) = (at.saturating_add(1), seen.saturating_add(1));
            }
            _ => match star {
                Some((behind, end)) if end < name.len() => {
                    (at, seen) = (behind, end.saturating_add(1));
                    star = Some((at, seen));
                }
                _ => return false,
            },
        }
    }
}

pub(super) fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.ends_with(b"]") => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}
