//! A pipe, a terminal, or whatever else may give no byte for hours: read by a thread of its own, so that whoever waits for it
//! can stop waiting.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::input::interruption;

/// Bytes read at once, and how many such pieces wait: a pipe itself holds no more.
const PIECE: usize = 64 << 10;
const PIECES: usize = 2;
/// How long nothing comes until the operator is heard: what the thread has read is brought here meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// The bytes of something that is read by a thread.
pub struct Pipe {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    interrupted: Arc<AtomicBool>,
}

impl Pipe {
    /// Reads what is opened; opening a pipe waits for its writer. The thread ends with the input, with the operator's word, or
    /// with the process.
    pub fn read<F>(open: F, interrupted: Arc<AtomicBool>) -> Pipe
    where
        F: FnOnce() -> io::Result<Box<dyn Read>> + Send + 'static,
    {
        let (sender, pieces) = sync_channel(PIECES);
        let told = interrupted.clone();
        std::thread::spawn(move || {
            let read = open().and_then(|input| copy(input, &sender, &told));
            if let Err(error) = read {
                // Who does not wait any more needs no reason.
                let _ = sender.send(Err(error));
            }
        });
        Pipe { pieces, piece: io::Cursor::default(), interrupted }
    }
}

fn copy(
    mut input: Box<dyn Read>,
    pieces: &SyncSender<io::Result<Vec<u8>>>,
    interrupted: &AtomicBool,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(interruption());
        }
        let count = match input.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        let read = piece.get(..count).unwrap_or_default();
        if count == 0 || pieces.send(Ok(read.to_vec())).is_err() {
            return Ok(());
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.piece.read(buffer)? {
                0 if !buffer.is_empty() => {}
                count => return Ok(count),
            }
            let told = self.interrupted.load(Ordering::Relaxed);
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => self.piece = io::Cursor::new(piece?),
                Err(RecvTimeoutError::Timeout) if told => return Err(interruption()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}
