//! How far a relay is, for Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use relay::Progress;
use tokio::net::TcpListener;

/// A metric of the relay, for the reference.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub form: &'static str,
    /// What it means.
    pub help: &'static str,
    read: fn(&Progress) -> u64,
}

/// All of them.
pub const METRICS: [Metric; 3] = [
    Metric {
        name: "meshmeter_relay_entries_total",
        form: "counter",
        help: "entries that were sent, in transactions that were committed",
        read: Progress::sent,
    },
    Metric {
        name: "meshmeter_relay_behind",
        form: "gauge",
        help: "entries of the ledger that were not sent when it was last looked at",
        read: Progress::behind,
    },
    Metric {
        name: "meshmeter_relay_sessions_total",
        form: "counter",
        help: "sessions with Kafka that were opened; each but the first follows a failure",
        read: Progress::sessions,
    },
];

/// Serves them; returns where.
pub async fn serve(address: SocketAddr, progress: Arc<Progress>) -> Result<SocketAddr, String> {
    let failed = |error: std::io::Error| format!("{address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let page = move || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(&progress)) };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(page))).await });
    Ok(bound)
}

fn exposition(progress: &Progress) -> String {
    let mut text = String::new();
    for Metric { name, form, help, read } in METRICS {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {form}\n{name} {}\n", read(progress)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_the_exposition_has_every_metric() {
        let text = exposition(&Progress::default());
        for metric in METRICS {
            assert!(text.contains(&format!("\n{} 0\n", metric.name)), "{text}");
        }
    }
}
