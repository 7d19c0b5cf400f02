//! Guards that can be taken away, each at a seam of the simulation: a proof that does not notice proves nothing.

/// Declares `Mutation`, the guards of a world, with their words and what is done without each.
macro_rules! mutations {
    ($($variant:ident $word:literal $help:literal;)+) => {
        /// A guard that is missing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutation {
            $(#[doc = $help] $variant,)+
        }

        impl $crate::Guard for Mutation {
            const ALL: &'static [Mutation] = &[$(Mutation::$variant,)+];

            fn word(self) -> &'static str {
                match self { $(Mutation::$variant => $word,)+ }
            }

            fn help(self) -> &'static str {
                match self { $(Mutation::$variant => $help,)+ }
            }
        }
    };
}
pub(crate) use mutations;

mutations! {
    AcknowledgeBeforeCommit "acknowledge-before-commit" "the collector responds as soon as it has read the batch";
    ForgetTheRanges "forget-the-ranges" "the store loses an emitter's ranges when the collector restarts";
    ReuseASequenceNumber "reuse-a-sequence-number" "now and then two records get the same number";
    DropWithoutSpending "drop-without-spending" "a record that does not fit gets no number";
    CommitByHalves "commit-by-halves" "a crash in the commit leaves the entries without what is known of the emitters";
    BreakTheChain "break-the-chain" "a collector that restarts does not read where its chain ended";
    LoseASum "lose-a-sum" "now and then a sum is not written";
    ForgetTheResponses "forget-the-responses" "the store loses which responses were seen";
    AskForNoProof "ask-for-no-proof" "a response id and overlapping times prove that two records are of one call";
    AllowTheSameProxy "allow-the-same-proxy" "two workers of one process can see the same call";
    CompareNoModels "compare-no-models" "calls that asked for different models can be the same";
    CompareNoCharges "compare-no-charges" "a record can be the copy of one that owes something else";
    AllowReplicas "allow-replicas" "two replicas of one workload can see the same call";
    AllowAnything "allow-anything" "every credential may charge every tenant, and any number of tokens";
    ForgetReleases "forget-releases" "the store loses what was released";
    ForgetClosings "forget-closings" "the store loses which months are closed";
    BelieveAnyone "believe-anyone" "nobody is asked for the key of the emitter whose numbers he spends";
    AcknowledgeOn5xx "acknowledge-on-5xx" "the plugin takes a 5xx for a response like 200";
    TakeALateResponse "take-a-late-response" "the plugin takes the response to an older dispatch for that to the one in flight";
    ForgetTheOutbox "forget-the-outbox" "an update of the configuration begins with an empty outbox";
    LeaveNothing "leave-nothing" "a VM that ends leaves nothing to the next one";
    SwapBlindly "swap-blindly" "a VM changes the list of handoffs whatever others have written since it read it";
    TellDropsOnce "tell-drops-once" "a drop is told once, whether that dispatch got a response or not";
    EndTooEarly "end-too-early" "the final flush says that nothing waits while something does";
    NeverEnd "never-end" "no final flush";
    LoseAJournalLine "lose-a-journal-line" "now and then a record is not written to the journal";
    SkipTheRest "skip-the-rest" "reading the journal back ends with the first interruption";
}
