//! The hostcalls, as the linker finds them.
#![allow(unsafe_code)] // The ABI is C. The callers are the plugin's own wrappers and the SDK's, whose pointers are sound.

use super::{BAD_ARGUMENT, CAS_MISMATCH, LocalResponse, NOT_FOUND, OK, Sent, enter, proxy};

unsafe extern "C" {
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
}

/// Hands bytes over, in memory that the plugin has allocated.
unsafe fn give(bytes: &[u8], data: *mut *mut u8, size: *mut usize) -> u32 {
    // SAFETY: the allocation has this size, and both result pointers are the caller's live locals.
    unsafe {
        if !bytes.is_empty() {
            *data = proxy_on_memory_allocate(bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), *data, bytes.len());
        }
        *size = bytes.len();
    }
    OK
}

unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    // SAFETY: the caller's slice outlives the hostcall.
    if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, size) } }
}

unsafe fn text(data: *const u8, size: usize) -> String {
    // SAFETY: as above.
    String::from_utf8_lossy(unsafe { bytes(data, size) }).into_owned()
}

fn serialize(headers: &[(String, String)]) -> Vec<u8> {
    let number = |size: usize| (size as u32).to_le_bytes();
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

fn deserialize(bytes: &[u8]) -> Vec<(String, String)> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (count, mut headers) = (number(0), Vec::new());
    let mut at = 4 + 8 * count;
    let mut next = |size: usize| {
        let text = String::from_utf8_lossy(&bytes[at..at + size]).into_owned();
        at += size + 1;
        text
    };
    for pair in 0..count {
        headers.push((next(number(4 + 8 * pair)), next(number(8 + 8 * pair))));
    }
    headers
}

/// Hostcalls. Each is entered under its own name; where it fails, its status is returned.
macro_rules! hostcalls {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $body:block)+) => {
        $(
            // SAFETY: nothing else defines a hostcall in a native test.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) -> u32 {
                if let Err(status) = enter(stringify!($name)) {
                    return status;
                }
                // SAFETY: see the head of this file.
                #[allow(unused_unsafe)]
                unsafe { $body }
            }
        )+
    };
}

hostcalls! {
    fn proxy_log(_level: u32, line: *const u8, line_size: usize) {
        let line = text(line, line_size);
        proxy(|proxy| proxy.log.push(line));
        OK
    }

    fn proxy_get_log_level(level: *mut u32) {
        *level = 2;
        OK
    }

    fn proxy_get_current_time_nanoseconds(time: *mut u64) {
        *time = proxy(|proxy| proxy.now_ms) * 1_000_000;
        OK
    }

    fn proxy_set_tick_period_milliseconds(period: u32) {
        proxy(|proxy| proxy.tick_ms = period);
        OK
    }

    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) {
        let Some(buffer) = proxy(|proxy| proxy.buffers.get(&kind).cloned()) else { return NOT_FOUND };
        let end = start.saturating_add(max).min(buffer.len());
        give(buffer.get(start..end).unwrap_or_default(), data, size)
    }

    fn proxy_set_buffer_bytes(kind: u32, start: usize, size: usize, data: *const u8, data_size: usize) {
        let new = bytes(data, data_size).to_vec();
        proxy(|proxy| {
            let buffer = proxy.buffers.entry(kind).or_default();
            let start = start.min(buffer.len());
            buffer.splice(start..start.saturating_add(size).min(buffer.len()), new);
        });
        OK
    }

    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) {
        let headers = proxy(|proxy| {
            let headers = || serialize(proxy.headers.get(&kind).map_or(&[], Vec::as_slice));
            proxy.header_bytes.get(&kind).cloned().unwrap_or_else(headers)
        });
        give(&headers, data, size)
    }

    fn proxy_get_header_map_value(kind: u32, key: *const u8, key_size: usize, data: *mut *mut u8, size: *mut usize) {
        let key = text(key, key_size);
        let headers = proxy(|proxy| proxy.headers.get(&kind).cloned().unwrap_or_default());
        match headers.iter().find(|(name, _)| *name == key) {
            Some((_, value)) => give(value.as_bytes(), data, size),
            None => NOT_FOUND,
        }
    }

    fn proxy_replace_header_map_value(kind: u32, key: *const u8, key_size: usize, value: *const u8, value_size: usize) {
        let (key, value) = (text(key, key_size), text(value, value_size));
        proxy(|proxy| {
            let headers = proxy.headers.entry(kind).or_default();
            headers.retain(|(name, _)| *name != key);
            headers.push((key, value));
        });
        OK
    }

    fn proxy_remove_header_map_value(kind: u32, key: *const u8, key_size: usize) {
        let key = text(key, key_size);
        proxy(|proxy| proxy.headers.entry(kind).or_default().retain(|(name, _)| *name != key));
        OK
    }

    fn proxy_send_local_response(
        status: u32, _details: *const u8, _details_size: usize, body: *const u8, body_size: usize,
        headers: *const u8, headers_size: usize, _grpc_status: i32
    ) {
        let (headers, body) = (deserialize(bytes(headers, headers_size)), text(body, body_size));
        proxy(|proxy| proxy.responses.push(LocalResponse { status, headers, body }));
        OK
    }

    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) {
        let path = text(path, path_size);
        let found = proxy(|proxy| {
            let state = || proxy.filter_states.last()?.get(&path);
            proxy.properties.get(&path).or_else(state).cloned()
        });
        match found {
            Some(value) => give(&value, data, size),
            None => NOT_FOUND,
        }
    }

    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) {
        let (path, bytes, value) = (text(path, path_size), bytes(value, value_size), text(value, value_size));
        proxy(|proxy| {
            if let Some(state) = proxy.filter_states.last_mut() {
                state.insert(path.clone(), bytes.to_vec());
            }
            proxy.written.insert(path, value);
        });
        OK
    }

    fn proxy_get_shared_data(key: *const u8, key_size: usize, data: *mut *mut u8, size: *mut usize, cas: *mut u32) {
        let Some((value, version)) = proxy(|proxy| proxy.shared.get(&text(key, key_size)).cloned()) else { return NOT_FOUND };
        *cas = version;
        give(&value, data, size)
    }

    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, cas: u32) {
        let (key, value) = (text(key, key_size), bytes(value, value_size).to_vec());
        proxy(|proxy| {
            if cas != 0 && proxy.shared.get(&key).is_some_and(|(_, version)| *version != cas) {
                return CAS_MISMATCH;
            }
            proxy.version += 1;
            proxy.shared.insert(key, (value, proxy.version));
            OK
        })
    }

    fn proxy_define_metric(_kind: u32, name: *const u8, name_size: usize, id: *mut u32) {
        let name = text(name, name_size);
        *id = proxy(|proxy| {
            let id = proxy.metrics.len() as u32;
            proxy.metrics.insert(id, (name, 0));
            id
        });
        OK
    }

    fn proxy_increment_metric(id: u32, offset: i64) {
        proxy(|proxy| proxy.metrics.entry(id).or_default().1 += offset);
        OK
    }

    fn proxy_record_metric(id: u32, value: u64) {
        proxy(|proxy| proxy.metrics.entry(id).or_default().1 = value as i64);
        OK
    }

    fn proxy_done() {
        proxy(|proxy| proxy.done += 1);
        OK
    }

    fn proxy_set_effective_context(_context: u32) {
        OK
    }

    fn proxy_http_call(
        cluster: *const u8, cluster_size: usize, headers: *const u8, headers_size: usize, body: *const u8, body_size: usize,
        _trailers: *const u8, _trailers_size: usize, timeout_ms: u32, token: *mut u32
    ) {
        let cluster = text(cluster, cluster_size);
        if proxy(|proxy| proxy.unknown_clusters.contains(&cluster)) {
            return BAD_ARGUMENT;
        }
        let sent = Sent {
            token: proxy(|proxy| {
                proxy.tokens += 1;
                proxy.tokens
            }),
            cluster,
            headers: deserialize(bytes(headers, headers_size)),
            body: text(body, body_size),
            timeout_ms,
        };
        *token = sent.token;
        proxy(|proxy| proxy.sent.push(sent));
        OK
    }
}

/// What the SDK refers to and the plugin never uses.
macro_rules! unused {
    ($($name:ident)+) => {
        $(
            // SAFETY: nothing else defines a hostcall in a native test, and nobody makes this one.
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> u32 {
                std::process::abort()
            }
        )+
    };
}

unused! {
    proxy_add_header_map_value proxy_call_foreign_function proxy_close_stream proxy_continue_stream
    proxy_dequeue_shared_queue proxy_enqueue_shared_queue proxy_get_status proxy_grpc_call proxy_grpc_cancel
    proxy_grpc_close proxy_grpc_send proxy_grpc_stream proxy_register_shared_queue proxy_resolve_shared_queue
    proxy_set_header_map_pairs
}
