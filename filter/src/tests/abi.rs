//! The proxy's side of the ABI, as far as the plugin uses it, for native tests. Each test is a thread, and so a proxy of its
//! own with one VM: hostcalls fail, lose, and are interrupted as the test says.

mod hostcalls;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub const OK: u32 = 0;
pub const NOT_FOUND: u32 = 1;
pub const BAD_ARGUMENT: u32 = 2;
pub const CAS_MISMATCH: u32 = 8;
pub const INTERNAL_FAILURE: u32 = 10;

pub const REQUEST_HEADERS: u32 = 0;
pub const RESPONSE_HEADERS: u32 = 2;
pub const DISPATCH_RESPONSE_HEADERS: u32 = 6;
pub const REQUEST_BODY: u32 = 0;
pub const RESPONSE_BODY: u32 = 1;
pub const DISPATCH_RESPONSE_BODY: u32 = 4;
const CONFIGURATION: u32 = 7;

/// Values in the data that all VMs share, and their versions.
pub type Shared = BTreeMap<String, (Vec<u8>, u32)>;

/// A dispatch that the plugin made.
#[derive(Clone, Debug)]
pub struct Sent {
    pub token: u32,
    pub cluster: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub timeout_ms: u32,
}

impl Sent {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A response of the plugin's own.
#[derive(Clone, Debug)]
pub struct LocalResponse {
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl LocalResponse {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

type Interruption = Rc<dyn Fn()>;

/// What the proxy holds, and what it was asked.
#[derive(Default)]
struct Proxy {
    now_ms: u64,
    buffers: BTreeMap<u32, Vec<u8>>,
    headers: BTreeMap<u32, Vec<(String, String)>>,
    /// Headers as bytes, in place of those.
    header_bytes: BTreeMap<u32, Vec<u8>>,
    properties: BTreeMap<String, Vec<u8>>,
    /// What was written into the filter state of each stream, the current one last.
    filter_states: Vec<BTreeMap<String, Vec<u8>>>,
    /// Clusters that there are not.
    unknown_clusters: Vec<String>,
    shared: Shared,
    version: u32,
    metrics: BTreeMap<u32, (String, i64)>,
    written: BTreeMap<String, String>,
    log: Vec<String>,
    sent: Vec<Sent>,
    responses: Vec<LocalResponse>,
    tokens: u32,
    tick_ms: u32,
    done: u32,
    calls: BTreeMap<&'static str, usize>,
    /// What these hostcalls return instead of doing anything, so many times.
    failing: BTreeMap<&'static str, (u32, usize)>,
    /// What happens in the middle of such a hostcall, the next time.
    interruptions: BTreeMap<&'static str, Interruption>,
}

thread_local! {
    static PROXY: RefCell<Proxy> = RefCell::default();
}

fn proxy<T>(run: impl FnOnce(&mut Proxy) -> T) -> T {
    PROXY.with_borrow_mut(run)
}

/// A hostcall is made: what interrupts it happens, and then it fails, if it is to.
fn enter(name: &'static str) -> Result<(), u32> {
    let (interruption, failure) = proxy(|proxy| {
        *proxy.calls.entry(name).or_default() += 1;
        let failure = proxy.failing.get_mut(name).filter(|(_, times)| *times > 0).map(|(status, times)| {
            *times -= 1;
            *status
        });
        (proxy.interruptions.remove(name), failure)
    });
    interruption.iter().for_each(|interruption| interruption());
    failure.map_or(Ok(()), Err)
}

/// These hostcalls fail so many times.
pub fn fail(name: &'static str, status: u32, times: usize) {
    proxy(|proxy| proxy.failing.insert(name, (status, times)));
}

/// No hostcall fails any more.
pub fn recover() {
    proxy(|proxy| proxy.failing.clear());
}

/// The next time that this hostcall is made, something happens in the middle of it.
pub fn interrupt(name: &'static str, happens: impl Fn() + 'static) {
    proxy(|proxy| proxy.interruptions.insert(name, Rc::new(happens)));
}

/// How often a hostcall was made.
pub fn calls(name: &str) -> usize {
    proxy(|proxy| proxy.calls.get(name).copied().unwrap_or(0))
}

pub fn set_time(now_ms: u64) {
    proxy(|proxy| proxy.now_ms = now_ms);
}

/// What the plugin reads as its configuration; returns its size.
pub fn set_configuration(json: &str) -> usize {
    set_buffer(CONFIGURATION, json.as_bytes())
}

/// What the plugin reads as a body; returns its size.
pub fn set_buffer(kind: u32, bytes: &[u8]) -> usize {
    proxy(|proxy| proxy.buffers.insert(kind, bytes.to_vec()));
    bytes.len()
}

pub fn buffer(kind: u32) -> Vec<u8> {
    proxy(|proxy| proxy.buffers.get(&kind).cloned().unwrap_or_default())
}

/// What the plugin reads as headers; returns how many.
pub fn set_headers(kind: u32, headers: &[(&str, &str)]) -> usize {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let count = headers.len();
    proxy(|proxy| proxy.headers.insert(kind, headers));
    count
}

/// What the plugin reads as headers, as bytes that need not be any.
pub fn set_header_bytes(kind: u32, bytes: &[u8]) {
    proxy(|proxy| proxy.header_bytes.insert(kind, bytes.to_vec()));
}

pub fn set_property(path: &str, value: &[u8]) {
    proxy(|proxy| proxy.properties.insert(path.to_owned(), value.to_vec()));
}

/// Another stream begins, in whose filter state is nothing. It may begin in the middle of another one's callback.
pub fn begin_stream() {
    proxy(|proxy| proxy.filter_states.push(BTreeMap::new()));
}

/// It ends, and with it its filter state.
pub fn end_stream() {
    proxy(|proxy| proxy.filter_states.pop());
}

/// These clusters are the ones that there are not.
pub fn set_unknown_clusters(names: &[&str]) {
    proxy(|proxy| proxy.unknown_clusters = names.iter().map(|name| name.to_string()).collect());
}

pub fn shared() -> Shared {
    proxy(|proxy| proxy.shared.clone())
}

pub fn set_shared(shared: Shared) {
    proxy(|proxy| {
        proxy.version = shared.values().map(|(_, version)| *version).max().unwrap_or(0);
        proxy.shared = shared;
    });
}

/// The dispatches that were made since this was last asked.
pub fn sent() -> Vec<Sent> {
    proxy(|proxy| std::mem::take(&mut proxy.sent))
}

/// The responses of the plugin's own since this was last asked.
pub fn responses() -> Vec<LocalResponse> {
    proxy(|proxy| std::mem::take(&mut proxy.responses))
}

/// Filter state that the plugin has written, such as `meshmeter`, the records.
pub fn written(name: &str) -> Option<String> {
    proxy(|proxy| proxy.written.remove(name))
}

pub fn tick_ms() -> u32 {
    proxy(|proxy| proxy.tick_ms)
}

/// How many root contexts may go that had stayed.
pub fn done() -> u32 {
    proxy(|proxy| proxy.done)
}

/// The sum of what a metric counted, over all its labels.
pub fn metric(name: &str) -> i64 {
    let is_it = |stat: &str| stat == name || stat.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    proxy(|proxy| proxy.metrics.values().filter(|(stat, _)| is_it(stat)).map(|(_, value)| value).sum())
}

/// Whether a line of the log has this in it.
pub fn logged(text: &str) -> bool {
    times_logged(text) > 0
}

/// How many lines of the log have this in them.
pub fn times_logged(text: &str) -> usize {
    proxy(|proxy| proxy.log.iter().filter(|line| line.contains(text)).count())
}
