//! Sessions of browsers, without one: what a cookie admits to. The page itself is tested in a real browser (`collector/web/test`).

use crate::support::*;

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    request(server.address, "POST", path, headers, body.as_bytes()).expect("a response")
}

fn get(server: &Server, path: &str, cookie: &str) -> u16 {
    request(server.address, "GET", path, &[("cookie", cookie)], b"").expect("a response").status
}

fn log_in(server: &Server, token: &str) -> Response {
    post(server, "/login", &[("content-type", "application/json")], &format!("{{\"token\": \"{token}\"}}"))
}

fn cookie(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    let set = response.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && set.contains("Max-Age=43200"), "{set}");
    assert!(!set.contains("Secure"), "{set}: a browser would not send it over plain HTTP");
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn contract_a_session_reads_as_its_token_does_until_it_ends_or_the_token_is_withdrawn() {
    let dir = Dir::new();
    let file = dir.write_secret("readers", format!("all {READ}\nacme read-token-of-acme tenants=acme\n"));
    let server = Server::start(&dir, &["--read-token-file", file.to_str().unwrap()]);
    let (all, acme) = (cookie(&log_in(&server, READ)), cookie(&log_in(&server, "read-token-of-acme")));
    for path in ["/v1/report", "/v1/usage", "/v1/costs", "/v1/budgets", "/v1/gaps", "/metrics"] {
        assert_eq!(get(&server, path, &all), 200, "{path}");
    }
    assert_eq!((get(&server, "/v1/report", &acme), get(&server, "/v1/gaps", &acme)), (200, 403));
    for path in ["/v1/events", "/v1/leases", "/v1/missing"] {
        assert_eq!(post(&server, path, &[("cookie", &all), ("content-type", BATCH)], "[]").status, 401, "{path}");
    }
    let both = [("cookie", all.as_str()), ("authorization", "Bearer wrong-0123456789")];
    assert_eq!(request(server.address, "GET", "/v1/report", &both, b"").unwrap().status, 401);
    assert_eq!(post(&server, "/logout", &[("cookie", &acme)], "").status, 200);
    assert_eq!(get(&server, "/v1/report", &acme), 401);
    dir.write_secret("readers", "acme read-token-of-acme tenants=acme\n");
    until("the session has ended with its token", || get(&server, "/v1/report", &all) == 401);
}

#[test]
fn contract_only_a_read_token_in_json_logs_in_and_a_wrong_one_is_counted_as_anywhere() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let statuses = [INGEST, JOURNAL, "wrong-0123456789abcdef", ""].map(|token| {
        let response = log_in(&server, token);
        assert!(response.header("set-cookie").is_none(), "{response:?}");
        response.status
    });
    assert_eq!(statuses, [403, 403, 401, 401]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(post(&server, "/login", &form, &format!("token={READ}")).status, 415);
    let json = [("content-type", "application/json")];
    assert_eq!(post(&server, "/login", &json, "{}").status, 400);
    assert_eq!(post(&server, "/login", &json, &format!("{{\"token\": \"{}\"}}", "x".repeat(5000))).status, 413);
    assert_eq!(server.metric("meshmeter_collector_requests_refused_total{status=\"401\",reason=\"wrong_token\"}"), 2);
}

#[test]
fn contract_the_root_is_the_page_or_says_how_to_build_it() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let root = server.get("/", None);
    if root.status == 200 {
        assert!(root.header("content-security-policy").unwrap().contains("default-src 'self'"), "{root:?}");
    } else {
        assert_eq!(root.status, 404);
        assert!(root.body.contains("`./just web` builds it"), "{root:?}");
    }
}
