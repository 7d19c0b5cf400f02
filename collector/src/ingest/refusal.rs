//! Why a request is not done: its status, what is said of it, and when to come again.

use std::time::Duration;

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not readable: sending it again would not help.
    BadRequest(String),
    /// Neither a token nor a certificate that is known: `no_token` or `wrong_token`.
    Unauthorized(&'static str),
    /// A token of the other scope.
    Forbidden,
    /// A read token of some tenants, and this path tells of all.
    OtherTenants(&'static str),
    /// The body did not come in time.
    TooSlow,
    /// The body is over the limit.
    TooLarge(usize),
    /// The body is of another type than this one.
    UnsupportedType(&'static str),
    /// The credential has used up its rate; it may come again after so long.
    TooMany(Duration),
    /// The credential, or the emitter of it, has as much on its way as it may; the rest is for others.
    Share {
        /// Which credential.
        credential: String,
        /// What it has as much of: bodies, their events, or places in the queue.
        of: Busy,
    },
    /// It cannot be done now, and nothing of it was kept.
    Busy(Busy),
    /// It cannot be done: something on this side is wrong.
    Internal(String),
}

/// Why something cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Bodies have taken all memory that there is for them.
    Bodies,
    /// Their events have.
    Events,
    /// The writer does not keep up.
    Queue,
    /// The transaction failed.
    NotStored,
    /// The disk is nearly full.
    Disk,
    /// The database does not respond to readers.
    Database,
    /// The archive of sealed months does not respond.
    Archive,
    /// The database cannot be written.
    NotWritable,
    /// The writer has ended.
    Writer,
    /// All connections are in use.
    Connections,
    /// The service ends.
    Stopping,
}

impl Busy {
    /// Its word in the metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Busy::Bodies => "bodies",
            Busy::Events => "events",
            Busy::Queue => "queue",
            Busy::NotStored => "not_stored",
            Busy::Disk => "disk",
            Busy::Database => "database",
            Busy::Archive => "archive",
            Busy::NotWritable => "not_writable",
            Busy::Writer => "writer",
            Busy::Connections => "connections",
            Busy::Stopping => "stopping",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Busy::Bodies => "too many batches are on their way",
            Busy::Events => "too many events are on their way",
            Busy::Queue => "too many batches are waiting",
            Busy::NotStored => "the batch could not be stored",
            Busy::Disk => "the disk is nearly full",
            Busy::Database => "the database does not respond",
            Busy::Archive => "the archive of sealed months does not respond, and this needs it",
            Busy::NotWritable => "the database cannot be written",
            Busy::Writer => "the writer has ended",
            Busy::Connections => "too many connections are in use",
            Busy::Stopping => "shutting down",
        }
    }

    /// After how many seconds to come again. A full disk does not become empty within one, nor is an archive asked again.
    const fn retry_after(self) -> u64 {
        match self {
            Busy::Disk => 10,
            Busy::Archive => 30,
            _ => 1,
        }
    }
}

impl Refusal {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Refusal::BadRequest(_) => 400,
            Refusal::Unauthorized(_) => 401,
            Refusal::Forbidden | Refusal::OtherTenants(_) => 403,
            Refusal::TooSlow => 408,
            Refusal::TooLarge(_) => 413,
            Refusal::UnsupportedType(_) => 415,
            Refusal::TooMany(_) => 429,
            Refusal::Busy(_) | Refusal::Share { .. } => 503,
            Refusal::Internal(_) => 500,
        }
    }

    /// Its word in the metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Refusal::BadRequest(_) => "bad_request",
            Refusal::Unauthorized(reason) => reason,
            Refusal::Forbidden => "scope",
            Refusal::OtherTenants(_) => "tenants",
            Refusal::TooSlow => "slow_body",
            Refusal::TooLarge(_) => "large_body",
            Refusal::UnsupportedType(_) => "content_type",
            Refusal::TooMany(_) => "rate",
            Refusal::Busy(busy) | Refusal::Share { of: busy, .. } => busy.reason(),
            Refusal::Internal(_) => "internal",
        }
    }

    /// What is said to whoever asked.
    pub fn text(&self) -> String {
        match self {
            Refusal::BadRequest(problem) | Refusal::Internal(problem) => problem.clone(),
            Refusal::Unauthorized(_) => "a known bearer token is required".to_owned(),
            Refusal::Forbidden => "this token is not for this".to_owned(),
            Refusal::OtherTenants(path) => {
                format!("{path} tells of all tenants, and this token may read only of those that are named with it")
            }
            Refusal::TooSlow => "the body did not come in time".to_owned(),
            Refusal::TooLarge(max) => format!("the body must have at most {max} bytes"),
            Refusal::UnsupportedType(allowed) => format!("content-type must be {allowed}, not encoded"),
            Refusal::TooMany(_) => "more events than this token's rate allows".to_owned(),
            Refusal::Share { of, .. } => format!("{} from this sender; what is left is for others", of.text()),
            Refusal::Busy(busy) => busy.text().to_owned(),
        }
    }

    /// After how many seconds to come again, if that may help.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            // Rounded up: who comes then finds room.
            Refusal::TooMany(wait) => {
                let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                Some(whole.max(1))
            }
            Refusal::Busy(busy) | Refusal::Share { of: busy, .. } => Some(busy.retry_after()),
            _ => None,
        }
    }
}
