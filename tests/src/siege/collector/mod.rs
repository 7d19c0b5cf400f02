//! Senders that are hostile to the collector as a server, and what happens to its files. An honest sender is there all the
//! time: each of its batches must be acknowledged, and be in the ledger once.

use super::Attack;

mod bodies;
mod connections;
mod credentials;
mod files;
mod honest;
mod served;
mod tls;

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "idle-connections",
        keeps: "probes get responses and batches taken at a bound of 512 open files, whoever holds 1,200 connections",
        short: true,
        run: || Box::pin(connections::idle()),
    },
    Attack {
        name: "slow-heads",
        keeps: "batches are taken while 200 heads come byte by byte, which are ended",
        short: false,
        run: || Box::pin(connections::slow_heads()),
    },
    Attack {
        name: "endless-bodies",
        keeps: "batches are taken, with the same token too, while 48 bodies of a valid token never end",
        short: false,
        run: || Box::pin(bodies::endless()),
    },
    Attack {
        name: "wrong-tokens",
        keeps: "batches are taken while 64 senders try tokens; none of them is in the log, which stays short",
        short: true,
        run: || Box::pin(credentials::wrong_tokens()),
    },
    Attack {
        name: "stolen-token-flood",
        keeps: "a token with a rate brings no more events than that into the ledger, and others are served",
        short: true,
        run: || Box::pin(credentials::flood()),
    },
    Attack {
        name: "token-files",
        keeps: "a new token counts and an old one does not, without a restart; a bad file changes nothing",
        short: false,
        run: || Box::pin(credentials::reread()),
    },
    Attack {
        name: "replaced-ledger",
        keeps: "nothing is acknowledged that the ledger's file does not have, and it goes on when the file is back",
        short: true,
        run: || Box::pin(files::replaced()),
    },
    Attack {
        name: "deleted-ledger",
        keeps: "nothing is acknowledged into a file that is gone, and the process ends, to be started anew",
        short: false,
        run: || Box::pin(files::deleted()),
    },
    Attack {
        name: "full-disk",
        keeps: "what cannot be written is not acknowledged, and all is taken when there is room again",
        short: false,
        run: || Box::pin(files::full()),
    },
    Attack {
        name: "changed-certificates",
        keeps: "a new certificate is used without a restart, one without its key is not",
        short: false,
        run: || Box::pin(tls::changed()),
    },
    Attack {
        name: "client-certificates",
        keeps: "only the SPIFFE ids that are named may send, only of a known authority; slow handshakes hold up nobody",
        short: true,
        run: || Box::pin(tls::mutual()),
    },
];
