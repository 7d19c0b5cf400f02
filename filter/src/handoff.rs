//! What a VM leaves to the next one, in the memory that all VMs of the plugin share.
//!
//! Envoy destroys a VM as soon as its last stream is over, whatever `on_done` returns, and cuts its call in flight: at an
//! update of the code, too, although the VM with the new code is there by then. So the old one lays down what is not
//! acknowledged, and a new one picks it up at its next tick. At a shutdown nobody does, and the final flush must do.

use meter::outbox::{Limits, Outbox};

use crate::host;
use crate::shared::{Change, Shared};

/// The list of what lies there: a line `EMITTER BYTES ADDRESS` for each. VMs that change it at the same time are few.
pub const LIST: Shared = Shared::new("meshmeter: left", 100);
/// The bound of all that lies there, bytes; only updates of the code while the collector is away come near it.
const MAX_BYTES: usize = 64 << 20;

/// Lays down what an outbox still has for the collector at this address; false: it had something, and there was no room.
pub fn leave(outbox: &Outbox, address: &str) -> bool {
    let Some(handoff) = outbox.handoff() else { return true };
    // First the handoff, then the line that names it.
    let emitter = outbox.emitter();
    host::set_shared(&key(emitter), &handoff, 0).is_ok()
        && change(|lines| {
            let bytes = lines.iter().filter_map(|line| line.split(' ').nth(1)?.parse::<usize>().ok());
            if bytes.fold(handoff.len(), usize::saturating_add) > MAX_BYTES {
                return None;
            }
            lines.push(format!("{emitter} {} {address}", handoff.len()));
            Some(())
        })
        .is_some()
}

/// Picks up one handoff for the collector at this address, if there is one. Another's, which a plugin with the same
/// `vm_id` has left, is none of ours.
pub fn pick_up(address: &str, limits: Limits) -> Option<Outbox> {
    let emitter = change(|lines| {
        let ours = |line: &String| line.splitn(3, ' ').nth(2) == Some(address);
        let line = lines.remove(lines.iter().position(ours)?);
        line.split(' ').next().map(str::to_owned)
    })?;
    let key = key(&emitter);
    let (handoff, _) = host::shared(&key).ok()??;
    let _ = host::set_shared(&key, b"", 0);
    Outbox::from_handoff(&handoff, limits)
}

fn key(emitter: &str) -> String {
    format!("meshmeter: left by {emitter}")
}

/// Changes the list, unless the change says none is to be made.
fn change<T>(change: impl Fn(&mut Vec<String>) -> Option<T>) -> Option<T> {
    let changed = LIST.change(|list| {
        let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
        match change(&mut lines) {
            None => Change::Keep(None),
            result => Change::Set(lines.join("\n"), result),
        }
    });
    changed.ok().flatten()
}
