//! Envoy's side of the plugin: thin wrappers that turn every status into a `Result`.
//!
//! The SDK's own wrappers unwrap and panic on statuses they do not expect; a panic here resets other people's streams.
//! So these calls are declared once more, with the status as the number it is. Source: proxy-wasm ABI 0.2.1.
#![allow(unsafe_code)] // The ABI is C; every block says why it is sound.

use std::ops::Range;
use std::ptr::null_mut;

use meter::telemetry::Kind;

/// A status that is not success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub u32);

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
/// Somebody else has changed it meanwhile.
pub const CAS_MISMATCH: u32 = 8;

/// A body or text of the host.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

/// Headers of the host.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Headers {
    Request = 0,
    Response = 2,
    CallResponse = 6,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        kind: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        kind: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(kind: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_buffer_bytes(kind: u32, start: usize, size: usize, data: *const u8, data_size: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, cas: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_done() -> u32;
}

/// Bytes that the host has put into our memory, and the status of the call that did.
struct Returned {
    data: *mut u8,
    size: usize,
}

impl Returned {
    const fn new() -> Self {
        Returned { data: null_mut(), size: 0 }
    }

    /// The bytes; a host that says yes and gives nothing means an empty value.
    fn take(self, status: u32) -> Result<Option<Vec<u8>>, Failure> {
        match status {
            OK if self.data.is_null() => Ok(Some(Vec::new())),
            // SAFETY: the host allocates by the SDK's `proxy_on_memory_allocate`, which leaks a boxed slice of exactly
            // this size from the global allocator, and hands it to us alone.
            OK => Ok(Some(unsafe { Vec::from_raw_parts(self.data, self.size, self.size) })),
            NOT_FOUND => Ok(None),
            status => Err(Failure(status)),
        }
    }
}

fn check(status: u32) -> Result<(), Failure> {
    if status == OK { Ok(()) } else { Err(Failure(status)) }
}

/// A copy of a buffer's bytes in a range.
pub fn buffer(kind: Buffer, range: Range<usize>) -> Result<Option<Vec<u8>>, Failure> {
    let mut returned = Returned::new();
    let (start, size) = (range.start, range.len());
    // SAFETY: both pointers are to live locals that the host writes before it returns.
    let status = unsafe { proxy_get_buffer_bytes(kind as u32, start, size, &mut returned.data, &mut returned.size) };
    returned.take(status)
}

/// A header's value.
pub fn header(kind: Headers, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let mut returned = Returned::new();
    // SAFETY: the name outlives the call; both result pointers are to live locals.
    let status = unsafe {
        proxy_get_header_map_value(kind as u32, name.as_ptr(), name.len(), &mut returned.data, &mut returned.size)
    };
    returned.take(status)
}

/// All headers of a map at once: one call costs less than asking for three.
pub fn headers(kind: Headers) -> Result<HeaderMap, Failure> {
    let mut returned = Returned::new();
    // SAFETY: both result pointers are to live locals.
    let status = unsafe { proxy_get_header_map_pairs(kind as u32, &mut returned.data, &mut returned.size) };
    Ok(HeaderMap::read(returned.take(status)?.unwrap_or_default()))
}

/// Headers, where each stands in the bytes that the host gave.
pub struct HeaderMap {
    bytes: Vec<u8>,
    /// Where a name begins, where it ends, where its value begins, and where that ends.
    places: Vec<[usize; 4]>,
}

impl HeaderMap {
    /// Finds the headers as the host serializes them: their number, the lengths of each name and value, then names and
    /// values, each with a NUL behind it. What does not fit together is left out.
    fn read(bytes: Vec<u8>) -> HeaderMap {
        let mut places = Vec::new();
        if let Some((count, lengths)) = bytes.split_first_chunk::<4>() {
            let (lengths, _) = lengths.as_chunks::<4>();
            let number = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).unwrap_or(usize::MAX);
            let count = number(count).min(lengths.len() / 2);
            places.reserve_exact(count);
            let (pairs, _) = lengths.as_chunks::<2>();
            let mut at = count.saturating_mul(8).saturating_add(4);
            for [name, value] in pairs.iter().take(count) {
                let name_end = at.saturating_add(number(name));
                let value_at = name_end.saturating_add(1);
                let value_end = value_at.saturating_add(number(value));
                if value_end > bytes.len() {
                    break;
                }
                places.push([at, name_end, value_at, value_end]);
                at = value_end.saturating_add(1);
            }
        }
        HeaderMap { bytes, places }
    }

    /// All of them, as the host gave them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All values of a header, in the order in which they came.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.places.iter().filter_map(move |[name_at, name_end, at, end]| {
            let is_named = name_end.wrapping_sub(*name_at) == name.len()
                && self.bytes.get(*name_at..*name_end) == Some(name.as_bytes());
            if is_named { self.bytes.get(*at..*end) } else { None }
        })
    }
}

/// Sets a header, in place of any of its name.
pub fn set_header(kind: Headers, name: &str, value: &str) -> Result<(), Failure> {
    // SAFETY: both texts outlive the call; the host copies them.
    check(unsafe {
        proxy_replace_header_map_value(kind as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Removes a header.
pub fn remove_header(kind: Headers, name: &str) -> Result<(), Failure> {
    // SAFETY: the name outlives the call.
    check(unsafe { proxy_remove_header_map_value(kind as u32, name.as_ptr(), name.len()) })
}

/// Responses the request itself; `details` is for Envoy's access log. What has reached the provider by then is reset.
pub fn send_response(status: u32, details: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Failure> {
    const NO_GRPC: i32 = -1;
    let pairs = serialized(headers);
    // SAFETY: all slices outlive the call; the host copies them.
    check(unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            pairs.as_ptr(),
            pairs.len(),
            NO_GRPC,
        )
    })
}

/// Headers in the form that [`HeaderMap::read`] reads.
fn serialized(headers: &[(&str, &str)]) -> Vec<u8> {
    let number = |size: usize| u32::try_from(size).unwrap_or(0).to_le_bytes();
    let mut bytes = number(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(number(name.len()).into_iter().chain(number(value.len())));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Puts bytes in the place of the first `size` of a buffer.
pub fn set_buffer(kind: Buffer, size: usize, bytes: &[u8]) -> Result<(), Failure> {
    // SAFETY: the bytes outlive the call; the host copies them.
    check(unsafe { proxy_set_buffer_bytes(kind as u32, 0, size, bytes.as_ptr(), bytes.len()) })
}

/// Puts bytes behind the `size` bytes of a buffer.
pub fn append_buffer(kind: Buffer, size: usize, bytes: &[u8]) -> Result<(), Failure> {
    // SAFETY: the bytes outlive the call; the host copies them.
    check(unsafe { proxy_set_buffer_bytes(kind as u32, size, 0, bytes.as_ptr(), bytes.len()) })
}

/// A property; `path` has its segments joined by NUL.
pub fn property(path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let mut returned = Returned::new();
    // SAFETY: the path outlives the call; both result pointers are to live locals.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut returned.data, &mut returned.size) };
    returned.take(status)
}

/// A property that is a whole number: eight bytes, little-endian.
pub fn number(path: &str) -> Result<Option<u64>, Failure> {
    Ok(property(path)?.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))))
}

/// Writes filter state `wasm.NAME`.
pub fn set_property(name: &str, value: &[u8]) -> Result<(), Failure> {
    // SAFETY: both slices outlive the call; the host copies them.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// A value in the memory that all VMs of the plugin share, and its version.
pub fn shared(key: &str) -> Result<Option<(Vec<u8>, u32)>, Failure> {
    let mut returned = Returned::new();
    let mut version = 0u32;
    // SAFETY: the key outlives the call; the result pointers are to live locals.
    let status =
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &mut returned.data, &mut returned.size, &mut version) };
    Ok(returned.take(status)?.map(|value| (value, version)))
}

/// Sets a value there, if it still has this version; 0: in any case.
pub fn set_shared(key: &str, value: &[u8], version: u32) -> Result<(), Failure> {
    // SAFETY: both slices outlive the call; the host copies them.
    check(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) })
}

/// Marks a key in the memory that all VMs of the plugin share; true for the one VM that is first.
pub fn first_to_mark(key: &str) -> bool {
    matches!(shared(key), Ok(None)) && set_shared(key, b"1", 0).is_ok()
}

/// Nanoseconds since the Unix epoch; 0 if the host does not know.
pub fn now_ns() -> u64 {
    let mut now = 0u64;
    // SAFETY: the pointer is to a live local.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut now) };
    if status == OK { now } else { 0 }
}

/// Writes a line to Envoy's log, at `info`. Envoy writes to standard error before it goes on.
pub fn log(line: &str) -> Result<(), Failure> {
    const INFO: u32 = 2;
    // SAFETY: the text outlives the call; the host copies it.
    check(unsafe { proxy_log(INFO, line.as_ptr(), line.len()) })
}

/// Asks for a tick every so many milliseconds.
pub fn set_tick(period_ms: u32) -> Result<(), Failure> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_tick_period_milliseconds(period_ms) })
}

/// Tells that a root context whose end was put off may go.
pub fn done() -> Result<(), Failure> {
    // SAFETY: no arguments.
    check(unsafe { proxy_done() })
}

/// Defines a metric, or finds it again.
pub fn define_metric(kind: Kind, name: &str) -> Option<u32> {
    let kind = match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 2,
    };
    let mut id = 0u32;
    // SAFETY: the name outlives the call; the pointer is to a live local.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    check(status).ok().map(|()| id)
}

/// Adds to a counter or gauge. An id that the host gave cannot be wrong, and there is nobody to tell.
pub fn increment_metric(id: u32, amount: i64) {
    // SAFETY: no pointers.
    let _ = unsafe { proxy_increment_metric(id, amount) };
}

/// Records a value of a histogram.
pub fn record_metric(id: u32, value: u64) {
    // SAFETY: no pointers.
    let _ = unsafe { proxy_record_metric(id, value) };
}
