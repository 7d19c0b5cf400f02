//! The end of the VM: what is not acknowledged is handed off, and the final flush of its own outbox is sent.

use crate::action::Action;
use crate::batch::Batch;
use crate::handoff::HandOff;
use crate::response::Response;
use crate::worker::{Delivery, State, Whose};

impl Delivery {
    /// Ends, with the last root context. A handoff that is being taken over is taken over first: its events are off the list
    /// of handoffs by then, so that they would go with this VM.
    pub(super) fn end(&mut self, root: u32) {
        if let State::TakingOver { ending, .. } = &mut self.state {
            *ending = Some(root);
            return;
        }
        let Some(patience_ms) = self.roots.iter().find(|other| other.id == root).and_then(|root| root.patience_ms)
        else {
            return;
        };
        // A callback in the middle of another: nothing that was begun matters any more. What has happened does.
        self.actions.retain(|action| matches!(action, Action::Settled(_) | Action::NotHandedOff { .. }));
        self.state = State::Idle;
        // Its response will not be heard: the events go along again, and the collector recognises them.
        self.settle(Response::default(), true);
        let final_flush = self.own.final_flush(self.now_ms, patience_ms);
        self.hand_off(root, Whose::Own, final_flush);
    }

    fn hand_off(&mut self, root: u32, whose: Whose, final_flush: Option<Batch>) {
        let outbox = match whose {
            Whose::Own => Some(&self.own),
            Whose::Predecessor => self.predecessor.as_ref(),
        };
        match outbox.and_then(|outbox| Some((outbox.emitter(), outbox.handoff()?))) {
            Some((emitter, bytes)) => {
                let (hand_off, action) = HandOff::begin(emitter, &self.settings.address, bytes);
                self.act(action, State::HandingOff { root, whose, hand_off, final_flush });
            }
            None => self.hand_off_after(root, whose, final_flush),
        }
    }

    pub(super) fn hand_off_after(&mut self, root: u32, whose: Whose, final_flush: Option<Batch>) {
        match (whose, final_flush) {
            (Whose::Own, final_flush) => self.hand_off(root, Whose::Predecessor, final_flush),
            (Whose::Predecessor, Some(batch)) => self.send(root, batch),
            (Whose::Predecessor, None) => {}
        }
    }
}
