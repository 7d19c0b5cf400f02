//! What `meshmeter gaps` says is missing, against what the journals say was given out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use e2e::{Result, event::logged, gate::Passage, wait};
use serde::Deserialize;

use crate::{ledger::Entry, world::World};

/// How the collector's response begins when it has taken what was sent.
const TAKEN: &[u8] = b"{\"accepted\"";

/// What emitters said of themselves, as it went through the gate.
#[derive(Default)]
pub struct Said {
    /// How much each dropped.
    dropped: HashMap<String, u64>,
    /// Who had the final flush, and the collector took it.
    ended: HashSet<String>,
}

impl Said {
    /// Reads the headers of all calls.
    pub fn read(passages: &[Passage]) -> Result<Self> {
        let mut said = Self::default();
        for passage in passages.iter().filter(|passage| !passage.statement.is_empty()) {
            let statement = passage.said()?;
            if statement.ended && passage.response.starts_with(TAKEN) {
                said.ended.insert(statement.emitter.clone());
            }
            let most = said.dropped.entry(statement.emitter).or_default();
            *most = statement.dropped.max(*most);
        }
        Ok(said)
    }

    /// How much was dropped, as far as it was told.
    pub fn dropped(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// Waits until the collector has heard of everyone who counts: of whom it never heard, nobody can miss anything.
pub async fn heard(world: &World) -> Result<()> {
    wait::until("the collector to hear of every emitter", || async {
        let passages = world.gate.passages();
        let taken = passages.iter().filter(|passage| passage.response.starts_with(TAKEN));
        let heard: HashSet<String> = taken.map(|passage| Ok(passage.said()?.emitter)).collect::<Result<_>>()?;
        let unheard: Vec<String> = given(world)?.into_keys().filter(|emitter| !heard.contains(emitter)).collect();
        wait::ensure(unheard.is_empty(), || format!("it has not heard of {unheard:?}"))
    })
    .await
}

/// The numbers that each emitter has given out, and the last Envoy it was in.
fn given(world: &World) -> Result<BTreeMap<String, (u32, BTreeSet<u64>)>> {
    let mut given: BTreeMap<String, (u32, BTreeSet<u64>)> = BTreeMap::new();
    for (envoy, log) in world.logs() {
        let log = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
        for event in logged(&log) {
            let (last, numbers) = given.entry(event.text("emitter").to_owned()).or_default();
            *last = envoy;
            numbers.insert(event.count("sequence").ok_or("a record without a number")?);
        }
    }
    Ok(given)
}

#[derive(Deserialize)]
struct Gaps {
    emitters: Vec<Emitter>,
}

#[derive(Deserialize)]
struct Emitter {
    emitter: String,
    state: String,
    head: u64,
    holes: Vec<Hole>,
}

#[derive(Deserialize)]
struct Hole {
    first: u64,
    last: u64,
    cause: String,
}

/// Whether every hole is named, nothing else is, and every emitter that was killed is an open end; says what it found.
pub fn check(world: &World, entries: &[Entry], said: &Said) -> Result<(String, Vec<String>)> {
    let gaps: Gaps = serde_json::from_str(&world.gaps()?)?;
    let mut listed: HashMap<String, Emitter> =
        gaps.emitters.into_iter().map(|emitter| (emitter.emitter.clone(), emitter)).collect();
    let mut taken: HashSet<(&str, u64)> = HashSet::new();
    for entry in entries {
        taken.insert((entry.event.text("emitter"), entry.event.count("sequence").unwrap_or(0)));
    }
    let (mut problems, mut causes) = (Vec::new(), BTreeMap::<String, u64>::new());
    let (mut open, mut killed, mut behind) = (0, 0, 0);
    for (emitter, (envoy, numbers)) in given(world)? {
        let Some(found) = listed.remove(&emitter) else {
            problems.push(format!("{emitter}: gaps does not know it, and it counted {}", numbers.len()));
            continue;
        };
        let is_open = found.state == "open_end";
        let missing = numbers.iter().copied().filter(|number| !taken.contains(&(emitter.as_str(), *number)));
        let (missing, tail): (BTreeSet<u64>, BTreeSet<u64>) = missing.partition(|number| *number <= found.head);
        let named: BTreeSet<u64> = found.holes.iter().flat_map(|hole| hole.first..=hole.last).collect();
        if named != missing {
            let (more, less) = (named.difference(&missing), missing.difference(&named));
            problems.push(format!(
                "{emitter}: gaps names {:?} that are not missing, and not {:?}",
                more.collect::<Vec<_>>(),
                less.collect::<Vec<_>>()
            ));
        }
        if !tail.is_empty() && !is_open {
            problems.push(format!("{emitter}: it is no open end, and {} are missing behind its end", tail.len()));
        }
        let is_killed = world.killed.contains(&envoy) && !said.ended.contains(&emitter);
        if is_open == said.ended.contains(&emitter) {
            problems.push(format!("{emitter}: gaps says {}, it was killed: {is_killed}", found.state));
        }
        for hole in found.holes {
            *causes.entry(hole.cause).or_default() += hole.last - hole.first + 1;
        }
        (open, killed, behind) = (open + u64::from(is_open), killed + u64::from(is_killed), behind + tail.len());
    }
    problems.extend(listed.keys().map(|emitter| format!("{emitter}: gaps knows it, and it never counted")));
    if killed == 0 {
        problems.push("no emitter was killed".to_owned());
    }
    let named: u64 = causes.values().sum();
    let found = format!(
        "gaps names {named} missing records {causes:?}, and {open} open ends, {killed} of them of killed Envoys, with \
         {behind} more behind them"
    );
    Ok((found, problems))
}
