//! How many events a collector acknowledges: `load ADDRESS CONNECTIONS SECONDS [EVENTS A BATCH]`, with the ingest token in
//! MESHMETER_INGEST_TOKEN. Every connection is an emitter of its own that sends its next batch when the last one is
//! answered, as a plugin's worker does.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meter::identity::Identity;
use meter::record::{Evidence, Outcome, Record};
use meter::usage::{Class, Usage};

type Outcomes = Result<(), Box<dyn std::error::Error + Send + Sync>>;

static ACKNOWLEDGED: AtomicU64 = AtomicU64::new(0);

fn main() -> Outcomes {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, seconds, more @ ..] = args.as_slice() else {
        return Err("usage: load ADDRESS CONNECTIONS SECONDS [EVENTS A BATCH]".into());
    };
    let (connections, seconds): (u64, u64) = (connections.parse()?, seconds.parse()?);
    let batch: u64 = more.first().map_or(Ok(100), |text| text.parse())?;
    let token = std::env::var("MESHMETER_INGEST_TOKEN")?;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    std::thread::scope(|scope| -> Outcomes {
        let all: Vec<_> = (0..connections)
            .map(|number| {
                let token = &token;
                scope.spawn(move || emitter(address, token, number, batch, end))
            })
            .collect();
        all.into_iter().try_for_each(|one| one.join().map_err(|_| "a connection panicked")?)
    })?;
    let events = ACKNOWLEDGED.load(Ordering::Relaxed);
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    println!("{events} events acknowledged, {rate:.0} a second, {connections} connections, batches of {batch}");
    Ok(())
}

fn emitter(address: &str, token: &str, number: u64, batch: u64, end: Instant) -> Outcomes {
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    let name = format!("{:032x}", now.wrapping_add(number));
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut next = 1;
    while Instant::now() < end {
        let events: Vec<Vec<u8>> = (next..next + batch)
            .map(|sequence| meter::event::encode(&record(now, &name, sequence), &name, sequence))
            .collect();
        let body = [b"[".as_slice(), &events.join(b",".as_slice()), b"]"].concat();
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: collector\r\nauthorization: Bearer {token}\r\n\
             content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat())?;
        // A batch that was not taken comes again.
        if answer(&mut answers)? {
            next += batch;
            ACKNOWLEDGED.fetch_add(batch, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// A call of one of 40 tenants with one of 4 models.
fn record(now: u64, emitter: &str, sequence: u64) -> Record {
    let mut usage = Usage::default();
    usage.set(Class::InputText, Some(1000 + sequence % 500));
    usage.set(Class::CacheRead, Some(sequence % 900));
    usage.set(Class::OutputText, Some(100 + sequence % 70));
    let model = ["gpt-4.1", "gpt-4.1-mini", "o4-mini", "gpt-5"][(sequence % 4) as usize];
    Record {
        started_ns: now,
        duration_us: 1_500_000,
        time_to_first_token_us: Some(200_000),
        identity: Identity { tenant: format!("team-{}/service", sequence % 40), ..Identity::default() },
        provider: "openai".to_owned(),
        api: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        request_model: Some(model.to_owned()),
        response_model: Some(format!("{model}-2025-04-14")),
        response_id: Some(format!("chatcmpl-{emitter}-{sequence}")),
        request_id: Some(format!("{sequence:032x}")),
        route: Some("llm".to_owned()),
        cluster: Some("openai".to_owned()),
        node: Some("sidecar~10.0.0.1~app.ns~ns.svc.cluster.local".to_owned()),
        status: Some(200),
        stream: true,
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        usage,
        ..Record::default()
    }
}

/// Whether the batch was taken.
fn answer(from: &mut impl BufRead) -> Result<bool, std::io::Error> {
    let (mut line, mut length, mut taken) = (String::new(), 0, false);
    while from.read_line(&mut line)? > 2 {
        taken |= line.starts_with("HTTP/1.1 200 ");
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    from.read_exact(&mut vec![0; length])?;
    Ok(taken)
}
