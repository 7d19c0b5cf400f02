//! What the clients saw, what the provider served and what the ledger has, call by call.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use e2e::{
    Result,
    event::Event,
    gate::{Mode, Passage},
    provider::Served,
};
use serde::{Deserialize, Serialize};

use crate::{
    fault::TIMEOUT,
    holes::{self, Said},
    ledger::{self, Entry},
    run::Without,
    traffic::{Attempt, End},
    world::World,
};

/// How long Envoy may take, on a slow machine, to see that a client has hung up.
const UNNOTICED: Duration = Duration::from_secs(2);

/// The last line.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figure {
    /// Begun by clients, and taken on by Envoy.
    pub calls: u64,
    /// Distinct records in the ledger.
    pub records: u64,
    /// Distinct records that the collector has acknowledged to a plugin.
    pub acknowledged: u64,
    /// Records that the collector has acknowledged as duplicates.
    pub duplicates: u64,
    /// Records that plugins dropped, for their outbox was full.
    pub dropped: u64,
    /// Records that came in from the journal.
    pub recovered: u64,
    /// Calls that the end of a VM or of Envoy ended before their clients had the whole response.
    pub cut: u64,
    /// Calls that should be in the ledger and are not.
    pub lost: u64,
    /// Calls that were charged more than once.
    pub double_charged: u64,
}

/// What is known in the end.
pub struct Evidence {
    attempts: Vec<Attempt>,
    served: HashMap<String, Served>,
    /// Ids of the records that the ledger had before the journal was read.
    before: HashSet<String>,
    entries: Vec<Entry>,
}

/// What came out, and everything that should not be so.
#[derive(Default)]
pub struct Account {
    pub figure: Figure,
    /// Calls that Envoy refused while it loaded the plugin again, or that never reached it: no calls.
    pub refused: u64,
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    pub problems: Vec<String>,
    /// What was found in a control run.
    pub found: String,
}

impl Evidence {
    /// Reads the ledger, brings in the journal, and reads it again.
    pub async fn collect(world: &World, attempts: Vec<Attempt>, without: Option<Without>) -> Result<Self> {
        let database = world.file("ledger.db");
        let before = ledger::read(&database)?.iter().map(|entry| entry.event.id().to_owned()).collect();
        if without != Some(Without::Journal) {
            world.reconcile()?;
        }
        let served = world.provider.served().into_iter();
        let served = served.filter_map(|served| Some((served.tag.clone()?, served))).collect();
        Ok(Self { attempts, served, before, entries: ledger::read(&database)? })
    }
}

impl Account {
    /// Whether something is not as it must be.
    pub fn is_wrong(&self, without: Option<Without>) -> bool {
        let lost = without != Some(Without::Journal) && !self.lost.is_empty();
        let doubled = without != Some(Without::Deduplication) && !self.doubled.is_empty();
        lost || doubled || !self.problems.is_empty()
    }

    /// Compares.
    pub fn of(evidence: &Evidence, world: &World, without: Option<Without>) -> Result<Self> {
        let mut account = Account::default();
        let passages = world.gate.passages();
        account.passages(&passages)?;
        let said = Said::read(&passages)?;
        let mut of_call: HashMap<&str, Vec<&Entry>> = HashMap::new();
        let mut records = HashSet::new();
        for entry in &evidence.entries {
            records.insert(entry.event.id());
            of_call.entry(entry.event.text("request_id")).or_default().push(entry);
        }
        account.figure.records = records.len() as u64;
        account.figure.recovered = records.iter().filter(|id| !evidence.before.contains(**id)).count() as u64;
        account.figure.dropped = said.dropped();
        for attempt in &evidence.attempts {
            let entries = of_call.remove(attempt.id.as_str()).unwrap_or_default();
            account.call(attempt, &entries, evidence.served.get(&attempt.id), world);
        }
        account.problems.extend(of_call.keys().map(|id| format!("{id}: in the ledger, and no client made this call")));
        let figure = &mut account.figure;
        (figure.lost, figure.double_charged) = (account.lost.len() as u64, account.doubled.len() as u64);
        let distinct: BTreeSet<_> = account.doubled.iter().chain(&account.lost).collect();
        if figure.calls != figure.records + figure.cut + figure.lost && distinct.is_empty() {
            account.problems.push(format!("calls are not records + cut: {figure:?}"));
        }
        match without {
            None => account.whole(evidence, world)?,
            Some(Without::Journal) => {
                let (found, problems) = holes::check(world, &evidence.entries, &said)?;
                account.found = found;
                account.problems.extend(problems);
            }
            Some(Without::Deduplication) => {}
        }
        Ok(account)
    }

    /// The ledger's own commands: nothing is missing, nothing contradicts it, and the report charges what stands in it.
    fn whole(&mut self, evidence: &Evidence, world: &World) -> Result<()> {
        let gaps: serde_json::Value = serde_json::from_str(&world.gaps()?)?;
        for what in ["missing", "open_ends", "alarms"] {
            let count = &gaps["totals"][what];
            if count != 0 {
                self.problems.push(format!("meshmeter gaps: {what} is {count} when the journal was read"));
            }
        }
        let charged = evidence.entries.iter().filter(|entry| entry.charged).count() as u64;
        match world.reported() {
            Ok(reported) if reported == charged => {}
            Ok(reported) => {
                self.problems.push(format!("meshmeter report: {reported} calls, and the ledger charges {charged}"));
            }
            Err(problem) => self.problems.push(problem.to_string()),
        }
        Ok(())
    }

    /// What went through the gate.
    fn passages(&mut self, passages: &[Passage]) -> Result<()> {
        #[derive(Default, Deserialize)]
        struct Taken {
            #[serde(default)]
            duplicates: u64,
        }
        let mut acknowledged = HashSet::new();
        for passage in passages {
            self.figure.duplicates += serde_json::from_slice::<Taken>(&passage.response).unwrap_or_default().duplicates;
            let late = matches!(passage.mode, Mode::Slow(time) if time > TIMEOUT);
            if !late && passage.status.is_some_and(|status| status / 100 == 2) {
                acknowledged.extend(Event::batch(&passage.body)?.iter().map(|event| event.id().to_owned()));
            }
        }
        self.figure.acknowledged = acknowledged.len() as u64;
        Ok(())
    }

    fn call(&mut self, attempt: &Attempt, entries: &[&Entry], served: Option<&Served>, world: &World) {
        // A response of Envoy itself is none of the provider.
        let responded = served.is_some_and(|served| attempt.end == End::Whole(served.status));
        // Envoy may learn a little later that a client has left.
        let ended = if attempt.end == End::Left { attempt.ended + UNNOTICED } else { attempt.ended };
        let in_a_cut = world.cuts.iter().any(|(from, to)| attempt.begun <= *to && ended >= *from);
        let broken = matches!(attempt.end, End::Cut | End::Left | End::Whole(_)) && !responded;
        match entries {
            [] if responded => self.lost.push(format!("{}: its client has the whole response", attempt.id)),
            [] if served.is_none() && matches!(attempt.end, End::Unsent | End::Whole(503)) => {
                self.refused += 1;
                return;
            }
            [] if broken && in_a_cut => self.figure.cut += 1,
            [] => self.lost.push(format!(
                "{}: no fault explains its end: {:?}, served: {}",
                attempt.id,
                attempt.end,
                served.is_some()
            )),
            [first, ..] => {
                let charged = entries.iter().filter(|entry| entry.charged).count();
                if charged > 1 {
                    self.doubled.push(format!("{}: charged {charged} times", attempt.id));
                }
                if let Some(served) = served.filter(|_| responded)
                    && let Err(difference) = same(&first.event, attempt, served)
                {
                    self.problems.push(format!("{}: {difference}", attempt.id));
                }
            }
        }
        self.figure.calls += 1;
    }
}

/// Whether the ledger says of a call what the provider served.
fn same(event: &Event, attempt: &Attempt, served: &Served) -> std::result::Result<(), String> {
    let differs = |what: &str, ledger: &str, truth: &str| {
        if ledger == truth { Ok(()) } else { Err(format!("{what}: the ledger has {ledger}, it was {truth}")) }
    };
    differs("tenant", event.text("tenant"), &attempt.tenant)?;
    differs("status", &event.count("status").unwrap_or(0).to_string(), &served.status.to_string())?;
    if served.status != 200 {
        return Ok(());
    }
    differs("response id", event.text("response_id"), served.response_id.as_deref().unwrap_or_default())?;
    if event.text("evidence") == "reported" || !served.usage.is_empty() {
        let shown = |classes: &BTreeMap<String, u64>| format!("{classes:?}");
        differs("usage", &shown(&event.classes()), &shown(&served.usage))?;
    }
    Ok(())
}
