//! The calls of the demo: three tenants, three APIs, streamed and not; some fail, some are broken off.

use std::{sync::Arc, time::Duration};

use e2e::{
    Result,
    client::{Call, Route},
    fault::Fault,
    fixture::{Fixture, events},
    stack::{Stack, TENANT_HEADER, with_request_id},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::show::Progress;

/// Calls under way at once.
const AT_ONCE: usize = 12;
/// Applications do not all start in the same millisecond.
const APART: Duration = Duration::from_millis(15);
/// What proves each tenant.
pub const BY_TOKEN: &str = "acme/search";
/// The tenant is the certificate's namespace.
pub const BY_CERTIFICATE: &str = "payments";
/// The tenant is what the trusted header says.
pub const BY_HEADER: &str = "initech";
/// The certificate's identity.
pub const SPIFFE: &str = "spiffe://cluster.local/ns/payments/sa/invoices";

/// One call to make.
#[derive(Clone)]
pub struct Planned {
    /// By which the provider's ledger and the event find it again.
    pub id: String,
    /// Who must be charged.
    pub tenant: &'static str,
    /// The response.
    pub fixture: Fixture,
    /// What goes wrong.
    pub fault: Option<Fault>,
    /// Bytes of the response after which the client leaves.
    limit: usize,
    call: Call,
}

/// Plans `count` calls.
pub fn plan(stack: &Stack, count: usize) -> Result<Vec<Planned>> {
    let fixtures = &stack.provider.catalogue().0;
    (0..count)
        .map(|number| {
            let tenant = [BY_TOKEN, BY_CERTIFICATE, BY_HEADER][number % 3];
            // Of 24 calls one each: refused, failed, broken off by the provider, and left by the client.
            let (name, fault) = match number % 24 {
                7 => (Some("chat_tools.json"), Some(Fault::Status(429))),
                12 => (Some("messages.json"), Some(Fault::Status(529))),
                17 => (Some("responses_stream.sse"), Some(Fault::ResetAfter(6))),
                21 => (Some("messages_stream.sse"), Some(Fault::StallAfter(5))),
                _ => (None, None),
            };
            let fixture = match name {
                Some(name) => stack.provider.catalogue().get(name)?.clone(),
                None => fixtures[(number / 3 + number) % fixtures.len()].clone(),
            };
            let id = format!("demo-{number}");
            let mut call = with_request_id(fixture.call(), &id);
            let mut limit = usize::MAX;
            if let Some(fault) = fault {
                call = call.fault(fault);
                if let Fault::StallAfter(whole) = fault {
                    let text = fixture.response(0, true).1;
                    limit = events(&text).iter().take(whole).map(|event| event.len()).sum();
                }
            }
            call = match tenant {
                BY_TOKEN => stack.as_tenant(by_base_url(call, &fixture), BY_TOKEN)?,
                BY_HEADER => by_base_url(call, &fixture).header(TENANT_HEADER, BY_HEADER),
                _ => call,
            };
            Ok(Planned { id, tenant, fixture, fault, limit, call })
        })
        .collect()
}

/// The call of an application that has the gateway as its base URL; others ask for the provider's host.
fn by_base_url(mut call: Call, fixture: &Fixture) -> Call {
    let mount = match fixture.expected.provider.as_str() {
        "openai" => "openai",
        "anthropic" => "anthropic",
        _ => "self-hosted",
    };
    call.host = "localhost".to_owned();
    call.path = format!("/{mount}{}", call.path);
    call
}

/// Makes the calls, some at once, and shows how far it is.
pub async fn send(stack: &Stack, plan: &[Planned]) -> Result<()> {
    let (plain, mtls) = (stack.gateway(), stack.llm_mtls(SPIFFE)?);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let mut progress = Progress::new(plan.len());
    for planned in plan {
        let place = places.clone().acquire_owned().await?;
        let route = if planned.tenant == BY_CERTIFICATE { mtls.clone() } else { plain.clone() };
        let planned = planned.clone();
        running.spawn(async move {
            let result = one(&route, &planned).await;
            drop(place);
            result.map_err(|error| format!("{} ({}): {error}", planned.id, planned.fixture.name))
        });
        while let Some(ended) = running.try_join_next() {
            ended??;
            progress.advance();
        }
        tokio::time::sleep(APART).await;
    }
    while let Some(ended) = running.join_next().await {
        ended??;
        progress.advance();
    }
    progress.done();
    Ok(())
}

async fn one(route: &Route, planned: &Planned) -> Result<()> {
    let response = route.abort_after(&planned.call, planned.limit).await?;
    let (status, whole) = match planned.fault {
        Some(Fault::Status(status)) => (status, true),
        Some(_) => (200, false),
        None => (200, true),
    };
    if (response.status, response.whole) == (status, whole) {
        return Ok(());
    }
    Err(format!("HTTP {}, whole: {}; expected {status}, {whole}", response.status, response.whole).into())
}
