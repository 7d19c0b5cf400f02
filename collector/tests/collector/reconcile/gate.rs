//! What stands between `reconcile` and the collector in tests: passes calls on, or does what networks do.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use wire::statement::HEADER;

use crate::support::request;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is passed on.
    Pass,
    /// It gets this status and body, with `Retry-After: 0`, and never arrives.
    Respond(u16, &'static str),
    /// The connection breaks before it arrives.
    Cut,
    /// It arrives, and the connection breaks before the response.
    CutResponse,
}

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    /// As they came, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
pub struct Gate {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    /// What happens to the next calls; then they pass.
    fates: VecDeque<Fate>,
    /// Bodies with this in them got 400.
    poison: Option<&'static str>,
    calls: Vec<Call>,
    collector: SocketAddr,
}

impl Gate {
    /// A gate in front of a collector.
    pub fn open(collector: SocketAddr) -> Gate {
        Gate::listen(collector, None)
    }

    /// The same, with TLS.
    pub fn open_tls(collector: SocketAddr, tls: ServerConfig) -> Gate {
        Gate::listen(collector, Some(Arc::new(tls)))
    }

    fn listen(collector: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { fates: VecDeque::new(), poison: None, calls: Vec::new(), collector };
        let gate = Gate { address, state: Arc::new(Mutex::new(state)) };
        let server = gate.clone();
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (server, tls) = (server.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => while server.response(&mut stream).is_some() {},
                    Some(tls) => {
                        let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
                        while server.response(&mut stream).is_some() {}
                    }
                });
            }
        });
        gate
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn let_happen(&self, fates: impl IntoIterator<Item = Fate>) {
        self.state.lock().unwrap().fates.extend(fates);
    }

    pub fn poison(&self, word: &'static str) {
        self.state.lock().unwrap().poison = Some(word);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Calls with events in them.
    pub fn batches(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.path == "/v1/events" && call.body != "[]").collect()
    }

    /// `None` ends the connection.
    fn response(&self, stream: &mut (impl Read + Write)) -> Option<()> {
        let call = call(stream)?;
        let mut state = self.state.lock().unwrap();
        state.calls.push(call.clone());
        let fate = state.fates.pop_front().unwrap_or(Fate::Pass);
        let poisoned = state.poison.is_some_and(|word| call.path == "/v1/events" && call.body.contains(word));
        let (status, body) = match fate {
            Fate::Cut => return None,
            Fate::Respond(status, body) => (status, body.to_owned()),
            _ if poisoned => (400, r#"{"error":"poison"}"#.to_owned()),
            Fate::Pass => pass(state.collector, &call)?,
            Fate::CutResponse => {
                pass(state.collector, &call)?;
                return None;
            }
        };
        drop(state);
        let length = body.len();
        let response = format!("HTTP/1.1 {status} X\r\nretry-after: 0\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(response.as_bytes()).and_then(|()| stream.flush()).ok()
    }
}

fn pass(collector: SocketAddr, call: &Call) -> Option<(u16, String)> {
    let kept = |(name, _): &&(String, String)| ["authorization", "content-type", HEADER].contains(&name.as_str());
    let headers: Vec<(&str, &str)> =
        call.headers.iter().filter(kept).map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let response = request(collector, "POST", &call.path, &headers, call.body.as_bytes())?;
    Some((response.status, response.body))
}

fn call(stream: &mut impl Read) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call { path, headers, body: String::from_utf8(body).ok()? })
}
