//! The room that the ledger's disk has, as gauges: an alert can tell days ahead that it will be full.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The room, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// What the collector may still write.
    pub free: u64,
    /// The whole file system.
    pub size: u64,
    /// The files of the ledger.
    pub ledger: u64,
}

/// The room as it was last looked at; nothing without a disk of its own, as on PostgreSQL. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Space(Arc<Mutex<Option<Room>>>);

impl Space {
    pub fn registered(registry: &mut Registry) -> Space {
        let space = Space::default();
        registry.register_collector(Box::new(space.clone()));
        space
    }

    /// What is seen now; none if it cannot be seen.
    pub fn set(&self, room: Option<Room>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }
}

/// Bytes of a ledger with the log that SQLite writes ahead of it.
pub fn of_ledger(file: &Path) -> u64 {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let bytes = |file: &Path| std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    bytes(file).saturating_add(bytes(Path::new(&log)))
}

impl Collector for Space {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(room) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return Ok(()) };
        let gauges = [
            ("disk_free_bytes", room.free, "Bytes that are free on the ledger's disk; not on PostgreSQL."),
            ("disk_size_bytes", room.size, "Bytes of the ledger's disk in all; not on PostgreSQL."),
            ("ledger_bytes", room.ledger, "Bytes of the ledger's files; not on PostgreSQL."),
        ];
        for (name, bytes, meaning) in gauges {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, meaning, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
