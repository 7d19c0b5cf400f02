//! Budgets, simulated: the leases that are shipped, on both sides, in a world of their own. Workers admit bursts of calls at
//! once; requests are lost, late and repeated, collectors fail, workers die or end, clocks differ and limits change. After
//! each schedule it is checked that nobody could spend what others had, and that who may spend is let pass again.

mod laws;
mod plan;
mod truth;
mod worker;
mod world;

use crate::counts::counts;
use crate::mutation::mutations;
use crate::{Outcome, World};

counts! {
    calls "Calls that asked for room.";
    admitted "Calls that passed.";
    no_lease "Calls that were refused for want of a lease.";
    exhausted "Calls that were refused because the budget was spent.";
    too_large "Calls that were refused because they can cost more than the limit.";
    away "Calls that were refused because the collector was away.";
    unheld "Calls that passed without a lease, because the collector was away.";
    requests "Requests for leases that a collector took.";
    replayed "Requests that came again, late.";
    kills "Workers that died.";
    ends "Workers that ended.";
    changes "Limits that were changed.";
    full "Windows whose limit was reached within a hundredth.";
    over "Windows in which more was spent than the limit, within what may be.";
    simulated_seconds "How long all that was, for those in it.";
}

mutations! {
    TellMore "tell-more" "a worker is told of more than it was granted";
    AcknowledgeTooMuch "acknowledge-too-much" "a worker says that events are acknowledged which are not";
    ForgetWhatWasSpent "forget-what-was-spent" "what a call has cost is forgotten when it ends";
    EndWhileCallsRun "end-while-calls-run" "a worker says that it has ended while calls run";
    ReserveNothing "reserve-nothing" "nothing is reserved for calls of which nobody knows what they cost";
    LoseACharge "lose-a-charge" "now and then a transaction does not count in the budgets";
}

/// Budgets: leases of workers, and balances.
#[derive(Debug)]
pub struct Budgeting;

impl World for Budgeting {
    type Counts = Counts;
    type Mutation = Mutation;

    fn run(seed: u64, mutation: Option<Mutation>, _: bool) -> Outcome<Counts> {
        let mut world = world::World::new(seed, mutation);
        let violation = world.run().err();
        Outcome { violation, counts: world.counts(), plan: format!("{:?}", world.plan), ..Outcome::default() }
    }
}
