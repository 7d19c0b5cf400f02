//! The state machine of one VM, that is, of one worker.

use std::collections::VecDeque;

use meter::config::Config;
use meter::failures::CollectorFailure;
use wire::emitter::EmitterKey;

use crate::action::{Action, Outcome, SharedValue, Unavailable, Written};
use crate::batch::Batch;
use crate::handoff::{self, Found, HandOff, Next, Reply, TakeOver};
use crate::jitter::Jitter;
use crate::outbox::Outbox;
use crate::response::Response;
use crate::settings::Settings;

/// A handoff is taken over when it has been there for so long, ms. At a shutdown workers end one after the other, and one that
/// took over what another has just left would find its connection busy when its own final flush is to go out.
const SETTLED_MS: u64 = 500;

/// Delivery of one worker: its outbox, what it has taken over from a VM before it, and its root contexts.
///
/// An update of the configuration makes a new root context in the same VM; what is queued stays. One root context sends: the
/// one configured last of those that are still there. One dispatch is in flight.
#[derive(Debug)]
pub struct Delivery {
    own: Outbox,
    /// What a VM before this one has handed off: one after the other, so that memory stays bounded.
    predecessor: Option<Outbox>,
    /// Whose handoff may be taken over next, and since when it is known.
    sighted: Option<(String, u64)>,
    /// Of the last configuration.
    settings: Settings,
    /// The root contexts that are there, the sender last of those that do not leave.
    roots: Vec<Root>,
    /// The dispatch in flight, once the proxy has named it.
    dispatch: Option<Dispatched>,
    now_ms: u64,
    jitter: Jitter,
    actions: VecDeque<Action>,
    state: State,
}

#[derive(Debug)]
struct Root {
    id: u32,
    /// How long a response to one of its dispatches may take; none: it has no collector.
    patience_ms: Option<u64>,
    /// The proxy is done with it; it stays for the response to its dispatch.
    is_leaving: bool,
}

#[derive(Clone, Copy, Debug)]
struct Dispatched {
    token: u32,
    root: u32,
}

/// Which reply of the proxy is awaited. Until it comes, callbacks in between change nothing.
#[derive(Debug)]
enum State {
    /// None.
    Idle,
    Preparing,
    /// On behalf of a root context that then sends what is due.
    /// `ending`: meanwhile the VM has come to its end, with this root context.
    TakingOver {
        root: u32,
        take_over: TakeOver,
        ending: Option<u32>,
    },
    /// The VM ends: its own outbox is handed off, then that of the VM before it, then the final flush is sent.
    HandingOff {
        root: u32,
        whose: Whose,
        hand_off: HandOff,
        final_flush: Option<Batch>,
    },
    /// `beside`: what may go beside it.
    Dispatching {
        root: u32,
        beside: Batch,
    },
    DispatchingBeside {
        root: u32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Whose {
    Own,
    Predecessor,
}

impl Delivery {
    /// Delivery of a new VM. `key` and `seed` are to be drawn anew for each.
    pub fn new(key: EmitterKey, seed: u64, config: &Config) -> Delivery {
        let settings = Settings::of(config);
        Delivery {
            own: Outbox::new(key, settings.limits),
            predecessor: None,
            sighted: None,
            settings,
            roots: Vec::new(),
            dispatch: None,
            now_ms: 0,
            jitter: Jitter::new(seed),
            actions: VecDeque::new(),
            state: State::Idle,
        }
    }

    /// A root context takes a configuration; it is the one that sends from now on. Returns how often it is to tick, ms.
    pub fn configure(&mut self, root: u32, config: &Config) -> u64 {
        let settings = Settings::of(config);
        let same_collector = settings.address == self.settings.address;
        for outbox in std::iter::once(&mut self.own).chain(&mut self.predecessor) {
            outbox.reconfigure(settings.limits, same_collector);
        }
        self.forget_predecessor();
        self.roots.retain(|other| other.id != root);
        self.roots.push(Root { id: root, patience_ms: settings.patience_ms, is_leaving: false });
        self.settings = settings;
        if let State::Idle = self.state {
            self.act(handoff::prepare(), State::Preparing);
        }
        self.settings.tick_ms
    }

    /// The timer of a root context.
    pub fn tick(&mut self, now_ms: u64, root: u32) {
        if let State::Idle = self.state {
            self.now_ms = now_ms;
            self.send_due(root);
        }
    }

    /// Whether the response to this dispatch is of interest.
    pub fn awaits(&self, token: u32) -> bool {
        self.dispatch.is_some_and(|dispatch| dispatch.token == token)
    }

    /// The response to a dispatch of a root context.
    pub fn respond(&mut self, now_ms: u64, root: u32, token: u32, response: Response) {
        if !self.awaits(token) {
            return;
        }
        self.now_ms = now_ms;
        self.settle(response, false);
        // In the middle of another callback it is settled all the same, for it comes once; the next tick sends.
        match self.state {
            State::Idle => self.send_due(root),
            _ => self.leave(root),
        }
    }

    /// The collector has given leases to this VM: its end is said even if it has counted nothing, so that they are returned.
    pub fn hold_leases(&mut self) {
        self.own.hold_leases();
    }

    /// Whether no other root context is there, so that [`Delivery::done`] ends this VM.
    pub fn is_alone(&self, root: u32) -> bool {
        let mut staying = self.roots.iter().filter(|root| !root.is_leaving);
        staying.next().is_some_and(|first| first.id == root) && staying.next().is_none()
    }

    /// The end of a configuration, of the VM, or of the proxy. Returns whether the proxy may delete the root context now.
    ///
    /// If another root context is there, that one sends on, and this one stays until its own dispatch is settled. The last one
    /// cannot stay, because Envoy destroys the VM at once: what waits is sent and handed off, for there is no later.
    pub fn done(&mut self, now_ms: u64, root: u32) -> bool {
        if self.is_alone(root) {
            self.now_ms = now_ms;
            self.end(root);
            return true;
        }
        if !self.is_dispatcher(root) {
            self.roots.retain(|other| other.id != root);
        }
        let leaving = self.roots.iter_mut().find(|other| other.id == root);
        leaving.map(|root| root.is_leaving = true).is_none()
    }

    /// What to do next. A driver asks until there is nothing more, and feeds the replies back.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The proxy has taken a dispatch, under this token, or not.
    pub fn dispatched(&mut self, result: Result<u32, CollectorFailure>) {
        match (std::mem::replace(&mut self.state, State::Idle), result) {
            (State::Dispatching { root, beside }, Ok(token)) => {
                self.dispatch = Some(Dispatched { token, root });
                let now_ms = self.now_ms;
                if self.in_flight().is_some_and(|outbox| outbox.goes_beside(now_ms)) {
                    let dispatch = Action::Dispatch { batch: beside, is_beside: true };
                    return self.act(dispatch, State::DispatchingBeside { root });
                }
                self.leave(root);
            }
            (State::Dispatching { root, .. }, Err(failure)) => {
                self.settle(Response::lost(failure), false);
                self.leave(root);
            }
            (State::DispatchingBeside { root }, _) => self.leave(root),
            (state, _) => self.state = state,
        }
    }

    /// The proxy has read shared data.
    pub fn read(&mut self, result: Result<Option<SharedValue>, Unavailable>) {
        self.take_reply(Reply::Read(result));
    }

    /// The proxy has written shared data, or not.
    pub fn written(&mut self, result: Written) {
        self.take_reply(Reply::Written(result));
    }

    /// Who counts here.
    pub fn emitter(&self) -> &str {
        self.own.emitter()
    }

    /// What proves who counts here.
    pub fn key(&self) -> &EmitterKey {
        self.own.key()
    }

    /// All events of this VM up to this number are acknowledged, or given up.
    pub fn acknowledged(&self) -> u64 {
        self.own.acknowledged()
    }

    /// Whether this root context is the one that sends.
    pub fn sends(&self, root: u32) -> bool {
        let sender = self.roots.iter().rfind(|root| !root.is_leaving);
        sender.is_some_and(|sender| sender.id == root && sender.patience_ms.is_some())
    }

    /// Bytes of events that are not acknowledged yet.
    pub fn bytes(&self) -> usize {
        let predecessor = self.predecessor.as_ref().map_or(0, Outbox::bytes);
        self.own.bytes().saturating_add(predecessor)
    }

    /// When the oldest event of this VM's own that waits was queued, ms; none: none waits. A handoff does not say when its
    /// events were queued.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.own.oldest_ms()
    }

    /// Whether no event waits, of this VM or of one before it.
    pub fn is_idle(&self) -> bool {
        self.own.is_empty() && self.predecessor.is_none()
    }

    /// Whose handoff is being delivered.
    pub fn predecessor(&self) -> Option<&str> {
        self.predecessor.as_ref().map(Outbox::emitter)
    }

    fn act(&mut self, action: Action, awaiting: State) {
        self.actions.push_back(action);
        self.state = awaiting;
    }

    fn take_reply(&mut self, reply: Reply) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Preparing => match handoff::prepared(reply) {
                Next::Act(action) => self.act(action, State::Preparing),
                Next::Over(()) => {}
            },
            State::TakingOver { root, mut take_over, ending } => match take_over.next(reply) {
                Next::Act(action) => self.act(action, State::TakingOver { root, take_over, ending }),
                Next::Over(found) => {
                    self.found(found);
                    match ending {
                        Some(root) => self.end(root),
                        None => self.send_next(root),
                    }
                }
            },
            State::HandingOff { root, whose, mut hand_off, final_flush } => match hand_off.next(reply) {
                Next::Act(action) => self.act(action, State::HandingOff { root, whose, hand_off, final_flush }),
                Next::Over(is_handed_off) => {
                    if !is_handed_off {
                        self.actions.push_back(Action::NotHandedOff { emitter: hand_off.emitter().to_owned() });
                    }
                    self.hand_off_after(root, whose, final_flush);
                }
            },
            state => self.state = state,
        }
    }

    /// Sends what is due, if this root context is the one that sends.
    fn send_due(&mut self, root: u32) {
        let (sends, now_ms) = (self.sends(root), self.now_ms);
        match self.in_flight().map(|outbox| outbox.is_overdue(now_ms)) {
            _ if !sends => return self.leave(root),
            Some(false) => return self.leave(root),
            Some(true) => self.settle(Response::default(), false),
            None => {}
        }
        if self.predecessor.is_some() {
            return self.send_next(root);
        }
        let settled = self.sighted.as_ref().filter(|(_, since_ms)| now_ms.abs_diff(*since_ms) >= SETTLED_MS);
        let (take_over, action) = TakeOver::begin(&self.settings.address, settled.map(|(emitter, _)| emitter.clone()));
        self.act(action, State::TakingOver { root, take_over, ending: None });
    }

    fn found(&mut self, found: Found) {
        match found {
            Found::Other(emitter) if self.sighted.as_ref().is_some_and(|(sighted, _)| *sighted == emitter) => {}
            Found::Other(emitter) => self.sighted = Some((emitter, self.now_ms)),
            Found::Nothing => self.sighted = None,
            Found::Handoff(bytes) => {
                self.predecessor = Outbox::from_handoff(&bytes, self.settings.limits);
                match self.predecessor {
                    Some(_) => self.sighted = None,
                    None => self.lost(),
                }
                self.forget_predecessor();
            }
            Found::Lost => self.lost(),
        }
    }

    /// The handoff that was to be taken over is gone.
    fn lost(&mut self) {
        let lost = self.sighted.take().map(|(emitter, _)| Action::NotHandedOff { emitter });
        self.actions.extend(lost);
    }

    /// What was taken over goes first, for it is old and comes to an end.
    fn send_next(&mut self, root: u32) {
        let (now_ms, patience_ms) = (self.now_ms, self.patience_ms(root));
        let predecessor = self.predecessor.as_mut().and_then(|outbox| outbox.poll(now_ms, patience_ms));
        match predecessor.or_else(|| self.own.poll(now_ms, patience_ms)) {
            Some(batch) => self.send(root, batch),
            None => self.leave(root),
        }
    }

    fn send(&mut self, root: u32, batch: Batch) {
        let beside = batch.to_statement();
        self.act(Action::Dispatch { batch, is_beside: false }, State::Dispatching { root, beside });
    }

    /// The outbox whose dispatch is in flight.
    fn in_flight(&mut self) -> Option<&mut Outbox> {
        std::iter::once(&mut self.own).chain(&mut self.predecessor).find(|outbox| outbox.is_in_flight())
    }

    fn settle(&mut self, response: Response, is_abandoned: bool) {
        self.dispatch = None;
        let (now_ms, random) = (self.now_ms, self.jitter.next());
        let Some(outbox) = self.in_flight() else { return };
        let settled = outbox.settle(now_ms, response, random);
        let emitter = outbox.emitter().to_owned();
        self.actions.push_back(Action::Settled(Outcome { emitter, settled, response, is_abandoned }));
        self.forget_predecessor();
    }

    /// A predecessor from which nothing is left makes room for the next.
    fn forget_predecessor(&mut self) {
        if self.predecessor.as_ref().is_some_and(Outbox::is_done) {
            self.predecessor = None;
        }
    }

    fn patience_ms(&self, root: u32) -> u64 {
        self.roots.iter().find(|other| other.id == root).and_then(|root| root.patience_ms).unwrap_or(0)
    }

    /// Whether this root context waits for a response that settles what is in flight.
    fn is_dispatcher(&self, root: u32) -> bool {
        self.dispatch.is_some_and(|dispatch| dispatch.root == root)
    }

    /// Lets the proxy delete a root context that stayed for a response, when it has it.
    fn leave(&mut self, root: u32) {
        let leaves = self.roots.iter().any(|other| other.id == root && other.is_leaving);
        if leaves && !self.is_dispatcher(root) {
            self.roots.retain(|other| other.id != root);
            self.actions.push_back(Action::Done);
        }
    }
}

mod emit;
mod end;
pub use emit::Emitted;

#[cfg(test)]
mod tests;
