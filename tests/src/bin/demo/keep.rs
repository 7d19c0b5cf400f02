//! `just up`: everything stays, and says what to try.

use e2e::{Result, collector::READ_TOKEN, paths, stack::Stack};
use serde_json::json;

use crate::{calls, show};

/// Prints what to try and where to look, and waits for Ctrl-C.
pub async fn until_interrupted(mut stack: Stack) -> Result<()> {
    let (gateway, (llm, llm_mtls)) = (stack.gateway_address(), stack.listeners());
    let token = stack.identity.token(&json!({"tenant": calls::BY_TOKEN}))?;
    stack.identity.write_client(calls::SPIFFE)?;
    let file = |name: &str| stack.file(name).display().to_string();
    let body = r#"{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"hello"}]}"#;
    let stream =
        r#"{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    println!(
        "Everything is running. Ctrl-C stops it.

TRY  a call of {token_tenant}, by JWT:
  curl -s http://{gateway}/openai/v1/chat/completions -H 'content-type: application/json' \\
    -H 'x-tenant-token: {token}' -d '{body}'

     a stream of {certificate_tenant}, by SPIFFE certificate:
  curl -sN https://{llm_mtls}/anthropic/v1/messages -H 'content-type: application/json' \\
    --cacert {ca} --cert {certificate} --key {key} -d '{stream}'

     by the trusted header, through the forward proxy, with a fault (also: html, truncated, huge, gzip, reset-after-1, ...):
  curl -s http://api.openai.com/v1/chat/completions -x http://{llm} -H 'content-type: application/json' \\
    -H 'x-tenant-id: {header_tenant}' -H 'x-fault: status-429' -d '{body}'

LOOK the bill:      {meshmeter} report --database {database}
     over HTTP:     curl -s http://{collector}/v1/report -H 'authorization: Bearer {READ_TOKEN}'
     metrics:       curl -s http://{admin}/stats/prometheus | grep -E '^(gen_ai|meshmeter)_'
     Envoy:         http://{admin}
     access log:    tail -f {access_log}
     journal:       tail -f {journal}
     Envoy's log:   {envoy_log}
     configuration: {configuration}",
        token_tenant = calls::BY_TOKEN,
        certificate_tenant = calls::BY_CERTIFICATE,
        header_tenant = calls::BY_HEADER,
        ca = file("ca.crt"),
        certificate = file("client.crt"),
        key = file("client.key"),
        meshmeter = paths::collector()?.display(),
        database = stack.collector.database().display(),
        collector = stack.collector.address(),
        admin = stack.envoy.admin()?,
        access_log = file("access.log"),
        journal = file("journal"),
        envoy_log = file("envoy.err"),
        configuration = file("envoy.json"),
    );
    tokio::signal::ctrl_c().await?;
    eprintln!();
    show::step("stopping");
    // Ctrl-C in a terminal reaches Envoy and the collector as well: how they ended says nothing.
    stack.envoy.quiet();
    stack.collector.quiet();
    Ok(())
}
