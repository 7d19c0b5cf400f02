//! Calls that go on and on, on a few connections, while a test does something to Envoy.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    Result,
    client::{Call, Line, Route, Seen},
    stack::with_request_id,
    wait,
};

/// Enough to keep both workers busy.
const LANES: usize = 8;
/// Between a lane's calls: what matters here is that they never cease, not how many they are.
const PAUSE: Duration = Duration::from_millis(5);

/// Running traffic.
pub struct Traffic {
    stops: Arc<AtomicBool>,
    responded: Arc<AtomicUsize>,
    lanes: JoinSet<Result<Vec<String>>>,
}

impl Traffic {
    /// Sends `call` over and over; each has an id that begins with `name`. A connection that breaks is opened again.
    pub fn start(route: &Route, call: &Call, name: &'static str) -> Self {
        let (stops, responded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (route, call, stops, responded) = (route.clone(), call.clone(), stops.clone(), responded.clone());
            lanes.spawn(async move {
                let (mut line, mut whole) = (Line::new(route), Vec::new());
                for number in 0_u64.. {
                    let id = format!("{name}-{lane}-{number}");
                    match line.send(&with_request_id(call.clone(), &id), usize::MAX).await? {
                        Seen::Whole(response) if response.status == 200 => {
                            responded.fetch_add(1, Ordering::Relaxed);
                            whole.push(id);
                        }
                        Seen::Whole(response) => return Err(format!("{id}: HTTP {}", response.status).into()),
                        _ => {}
                    }
                    if stops.load(Ordering::Relaxed) {
                        break;
                    }
                    sleep(PAUSE).await;
                }
                Ok(whole)
            });
        }
        Self { stops, responded, lanes }
    }

    /// Waits until so many more calls have their response.
    pub async fn goes_on(&self, calls: usize) -> Result<()> {
        let responded = || self.responded.load(Ordering::Relaxed);
        let until = responded() + calls;
        wait::until("more calls", || async {
            wait::ensure(responded() >= until, || format!("{} of {until}", responded()))
        })
        .await
    }

    /// Ends it; the ids of the calls whose response the client has whole.
    pub async fn stop(mut self) -> Result<BTreeSet<String>> {
        self.stops.store(true, Ordering::Relaxed);
        let mut whole = BTreeSet::new();
        while let Some(lane) = self.lanes.join_next().await {
            whole.extend(lane??);
        }
        Ok(whole)
    }
}
