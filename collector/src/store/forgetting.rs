//! Names of persons that are replaced by pseudonyms: what a store is told, what of an entry changes, and what the ledger says of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entry::{Entry, EntryId, Hash, Kind};
use super::names::{Names, Sealed, What, fields, text_of};

/// A name that is being replaced. Whoever has the name recognises it; from this nobody else can tell what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// SHA-256 over the salt and the name.
    pub digest: [u8; 32],
    /// Drawn for it.
    pub salt: [u8; 32],
    /// What stands in its place.
    pub pseudonym: String,
    /// When that was begun.
    pub begun_ns: i64,
}

/// What a transaction does about names.
#[derive(Clone, Debug, Default)]
pub struct ForgetChanges {
    /// A name is to be replaced.
    pub begun: Option<Pending>,
    /// Entries with names replaced.
    pub replaced: Vec<Replaced>,
    /// Events quarantined with names replaced.
    pub quarantined: Vec<Requarantined>,
    /// A name was replaced everywhere.
    pub ended: Option<Ended>,
}

/// What of an entry changes.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// Which.
    pub entry: EntryId,
    /// How it was sealed; if that is not so any more, somebody else was at it.
    pub before: Names,
    /// What it has now.
    pub tenant: String,
    /// And its event.
    pub event: Option<String>,
    /// And how it is sealed.
    pub names: Names,
}

/// What of an event that is quarantined changes.
#[derive(Clone, Debug)]
pub struct Requarantined {
    /// By which it was known.
    pub before: [u8; 32],
    /// By which it is known now.
    pub after: [u8; 32],
    /// What it has now.
    pub bytes: Vec<u8>,
}

/// What ends with a name.
#[derive(Clone, Debug)]
pub struct Ended {
    /// [`Pending::digest`].
    pub digest: [u8; 32],
    /// The tenant, if it was one: sums and balances of it and of those below it that are nothing go, and its leases.
    pub tenant: Option<String>,
}

/// What an entry says after a name was replaced, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// What the name was: of a tenant, a principal, a session, an agent, a tag.
    pub what: String,
    /// Of which tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What stands in its place.
    pub pseudonym: String,
    /// Who did it.
    pub who: String,
    /// In how many entries.
    pub entries: u64,
    /// Over what was replaced: hex.
    pub sha256: String,
    /// Where the chains ended: what came later keeps the name. Writer and last entry.
    pub heads: Vec<(i64, i64)>,
}

impl Forgotten {
    /// What an entry says.
    pub fn read(entry: &Entry) -> Option<Forgotten> {
        serde_json::from_str(entry.event.as_deref()?).ok().filter(|_| entry.kind == Kind::Forgotten)
    }

    /// As it stands in the entry.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether an entry was there when it began.
    fn covers(&self, id: EntryId) -> bool {
        self.heads.iter().any(|(writer, last)| *writer == id.writer && id.number <= *last)
    }
}

/// What stands in the place of a field of this kind that says this, if it is to be replaced.
pub type Replace<'r> = &'r dyn Fn(&What<'_>, &str) -> Option<String>;

/// An entry with names replaced; nothing if it has none of them. `fresh`: salts for one that has none yet.
pub fn replaced(entry: &Entry, fresh: &Names, replace: Replace<'_>) -> Result<Option<Replaced>, String> {
    let event = entry.event.as_deref().unwrap_or_default();
    let personal = fields(event);
    let count = personal.len().saturating_add(1);
    let tenant = replace(&What::Tenant, &entry.tenant);
    let in_event: Vec<Option<String>> = personal.iter().map(|field| in_text(event, field, replace)).collect();
    if tenant.is_none() && in_event.iter().all(Option::is_none) {
        return Ok(None);
    }
    let altered = || format!("entry {}: was altered", entry.id);
    let sealed = entry.names.sealed(count, fresh).ok_or_else(altered)?;
    let says = std::iter::once(Some(entry.tenant.as_str()));
    let says = says.chain(personal.iter().map(|field| event.get(field.at.clone())));
    let is_new = std::iter::once(tenant.is_some()).chain(in_event.iter().map(Option::is_some));
    let fields = sealed.into_iter().zip(says).zip(is_new).map(|((sealed, says), is_new)| {
        if is_new { says.map(|says| Sealed::Digest(sealed.digest(says))) } else { Some(sealed) }
    });
    let fields = fields.collect::<Option<Vec<Sealed>>>().ok_or_else(altered)?;
    let was_plain = matches!(entry.names, Names::Plain | Names::Replaced { was_plain: true, .. });
    let new = with(event, &personal.iter().map(|field| field.at.clone()).zip(&in_event).collect::<Vec<_>>());
    Ok(Some(Replaced {
        entry: entry.id,
        before: entry.names.clone(),
        tenant: tenant.unwrap_or_else(|| entry.tenant.clone()),
        event: entry.event.as_ref().map(|_| new),
        names: Names::Replaced { was_plain, fields },
    }))
}

/// A text with names replaced, if it has any of them: an event that is quarantined.
pub fn replaced_in(text: &str, replace: Replace<'_>) -> Option<String> {
    let personal = fields(text);
    let new: Vec<Option<String>> = personal.iter().map(|field| in_text(text, field, replace)).collect();
    let is_any = new.iter().any(Option::is_some);
    is_any.then(|| with(text, &personal.iter().map(|field| field.at.clone()).zip(&new).collect::<Vec<_>>()))
}

fn in_text(text: &str, field: &super::names::Field<'_>, replace: Replace<'_>) -> Option<String> {
    replace(&field.what, &text_of(text.get(field.at.clone())?)?)
}

fn with(text: &str, new: &[(std::ops::Range<usize>, &Option<String>)]) -> String {
    let mut all = String::with_capacity(text.len());
    let mut end = 0;
    for (at, new) in new {
        let Some(new) = new else { continue };
        all.push_str(text.get(end..at.start).unwrap_or_default());
        all.push_str(&serde_json::Value::from(new.as_str()).to_string());
        end = at.end;
    }
    all.push_str(text.get(end..).unwrap_or_default());
    all
}

/// Whether an event is the one that the ledger has, in all that was not replaced there since.
pub fn is_same(kept: &str, names: &Names, other: &str) -> bool {
    if kept == other {
        return true;
    }
    let replaced: Vec<bool> = names.replaced().skip(1).collect();
    let parts = |text: &str| {
        let personal = fields(text);
        let mut end = 0;
        let mut parts = Vec::new();
        for (field, _) in personal.iter().zip(&replaced).filter(|(_, is_replaced)| **is_replaced) {
            parts.push(text.get(end..field.at.start).map(str::to_owned));
            end = field.at.end;
        }
        parts.push(text.get(end..).map(str::to_owned));
        (personal.len(), parts)
    };
    replaced.contains(&true) && parts(kept) == parts(other)
}

/// What was replaced, by pseudonym.
#[derive(Default)]
pub struct Attested(BTreeMap<String, Attestation>);

/// What was replaced by a pseudonym.
struct Attestation {
    forgotten: Forgotten,
    sha: Sha256,
    entries: u64,
    last: EntryId,
}

impl Attested {
    /// Nothing yet, of these.
    pub fn of(forgotten: impl IntoIterator<Item = Forgotten>) -> Attested {
        let each = |forgotten: Forgotten| {
            let name = forgotten.pseudonym.clone();
            (name, Attestation { forgotten, sha: Sha256::new(), entries: 0, last: EntryId::default() })
        };
        Attested(forgotten.into_iter().map(each).collect())
    }

    /// An entry, in the order of the chains: false if something in it was replaced, and none of these says so.
    pub fn add(&mut self, entry: &Entry) -> bool {
        let Names::Replaced { was_plain, fields: sealed } = &entry.names else { return true };
        let event = entry.event.as_deref().unwrap_or_default();
        let personal = fields(event);
        let in_event = personal.iter().map(|field| event.get(field.at.clone()).and_then(text_of));
        let says = std::iter::once(Some(entry.tenant.as_str().into())).chain(in_event);
        let mut all_said = true;
        for ((number, sealed), says) in (0_u32..).zip(sealed).zip(says) {
            let Sealed::Digest(digest) = sealed else { continue };
            let mut is_said = false;
            for segment in says.unwrap_or_default().split('/') {
                let Some(of) = self.0.get_mut(segment).filter(|of| of.forgotten.covers(entry.id)) else { continue };
                is_said = true;
                if of.last != entry.id {
                    of.entries = of.entries.saturating_add(1);
                    of.last = entry.id;
                }
                let id = entry.id.to_string();
                of.sha.update((id.len() as u64).to_le_bytes());
                of.sha.update(&id);
                of.sha.update(number.to_le_bytes());
                of.sha.update(digest);
                if *was_plain {
                    // Its own hash is of the name: what it says now has none but this.
                    of.sha.update(entry.content(&entry.hash).unwrap_or_default().0);
                }
            }
            all_said &= is_said;
        }
        all_said
    }

    /// Of each pseudonym what its entry says, and what it must say: in how many entries, and the digest.
    pub fn into_found(self) -> impl Iterator<Item = (Forgotten, u64, String)> {
        self.0.into_values().map(|of| (of.forgotten, of.entries, Hash(of.sha.finalize().into()).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::identity::{Identity, Source};
    use wire::record::{Record, Tag, TagSource};

    use super::super::names::Secret;
    use super::*;

    proptest! {
        #[test]
        fn deterministic_whatever_is_replaced_the_hash_stays_and_the_event_is_the_same_call(
            texts in prop::collection::vec("[ab/\"\\\\\u{0}é]{1,4}", 6),
            tenant in "[ab]{1,3}",
            secret in any::<[u8; 32]>(),
            is_plain in any::<bool>(),
        ) {
            let [principal, session, agent, key, value, more] = texts.try_into().unwrap();
            let mut record = Record {
                session_id: Some(session), agent_id: Some(agent), error_type: Some(more.clone()), ..Record::default()
            };
            record.identity = Identity { tenant: tenant.clone(), source: Source::Jwt, principal: Some(principal) };
            record.tags = vec![Tag { name: key, value, source: TagSource::Header }];
            let event = String::from_utf8(wire::event::encode(&record, &"e".repeat(32), 1)).unwrap();
            let mut entry = Entry { tenant, event: Some(event.clone()), ..Entry::about_no_call(Kind::Call, "e", 1, 1, &more) };
            let before = Hash([3; 32]);
            let salted = Secret(secret).salt(&before.0);
            entry.names = if is_plain { Names::Plain } else { salted.clone() };
            entry.hash = entry.hash_after(&before);
            let begins_with_a = |_: &What<'_>, says: &str| says.starts_with('a').then(|| "pseudonym".to_owned());
            let Some(replaced) = replaced(&entry, &salted, &begins_with_a).unwrap() else {
                prop_assert!(!event.contains(r#""a"#) || !entry.tenant.starts_with('a'));
                return Ok(());
            };
            let Replaced { tenant, event: changed, names, .. } = replaced;
            let new = Entry { tenant, event: changed.clone(), names: Names::from_bytes(names.to_bytes().as_deref()).unwrap(), ..entry.clone() };
            prop_assert!(new.follows(&before));
            prop_assert_eq!(new.content(&before) == Some(entry.hash), !is_plain, "of a plain one it cannot be");
            let changed = changed.unwrap();
            let decoded = wire::event::decode(changed.as_bytes()).unwrap().record;
            let expected = |text: &Option<String>| text.as_ref().map(|text| if text.starts_with('a') { "pseudonym".to_owned() } else { text.clone() });
            prop_assert_eq!(decoded.identity.principal, expected(&record.identity.principal));
            prop_assert_eq!(decoded.session_id, expected(&record.session_id));
            prop_assert_eq!(decoded.error_type, record.error_type);
            prop_assert!(is_same(&changed, &new.names, &event));
            prop_assert!(!is_same(&changed, &new.names, &event.replace("\"sequence\":1", "\"sequence\":2")));
            let twice = super::replaced(&new, &salted, &|_, says| (says == "pseudonym").then(|| "other".to_owned())).unwrap().unwrap();
            let again = Entry { tenant: twice.tenant, event: twice.event, names: twice.names, ..new.clone() };
            prop_assert_eq!(again.content(&before), new.content(&before), "the digest stays that of the name");
        }
    }
}
