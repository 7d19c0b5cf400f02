//! The terminal: taken over at the beginning, given back at the end, whatever ends it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::{cursor, execute, terminal as raw};

use super::Options;
use super::read::{Reading, Source};
use super::rows::Sort;
use super::view::View;
use crate::terminal;

/// How often it is looked whether a key was pressed, something was read, or a signal came.
const TICK: Duration = Duration::from_millis(100);

/// Standard output, locked for each write only: what a panic of another thread does to the terminal must not wait for this one.
struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        terminal::out().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        terminal::out().flush()
    }
}

/// The terminal, as long as it is taken over.
struct Taken;

impl Taken {
    fn take() -> io::Result<Taken> {
        raw::enable_raw_mode()?;
        let taken = Taken;
        execute!(Out, raw::EnterAlternateScreen, cursor::Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Leaves the terminal as it was. What fails here cannot be helped.
fn give_back() {
    let _ = execute!(Out, cursor::Show, raw::LeaveAlternateScreen);
    let _ = raw::disable_raw_mode();
}

/// Shows it until somebody has seen enough, or `interrupted` becomes true.
pub fn run(options: Options, interrupted: &AtomicBool) -> Result<(), String> {
    // What ships aborts on a panic, so nothing is dropped then.
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        said(panic);
    }));
    let Options { source, every, by, sort } = options;
    let mut view = View::new(source.url(), every, by, sort);
    let ends = Arc::new(AtomicBool::new(false));
    let readings = read(source, every, ends.clone())?;
    let failed = |error: io::Error| format!("the terminal: {error}");
    let taken = Taken::take().map_err(failed)?;
    let result = show(&mut view, &readings, interrupted).map_err(failed);
    ends.store(true, Ordering::Relaxed);
    drop(taken);
    result
}

/// Reads again and again, beside what is shown.
fn read(mut source: Source, every: Duration, ends: Arc<AtomicBool>) -> Result<Receiver<Reading>, String> {
    let (send, readings) = mpsc::sync_channel(1);
    let reader = std::thread::Builder::new().name("reader".to_owned());
    let work = move || {
        while !ends.load(Ordering::Relaxed) {
            let begun = std::time::Instant::now();
            if send.send(source.read()).is_err() {
                return;
            }
            // A report of a large ledger costs its collector time: at most a tenth of it.
            std::thread::sleep(every.max(begun.elapsed().saturating_mul(9)));
        }
    };
    reader.spawn(work).map_err(|error| format!("no thread to read with: {error}"))?;
    Ok(readings)
}

fn show(view: &mut View, readings: &Receiver<Reading>, interrupted: &AtomicBool) -> io::Result<()> {
    let mut screen = Terminal::new(CrosstermBackend::new(Out))?;
    loop {
        let size = screen.size()?;
        screen.draw(|frame| frame.render_widget(&*view, frame.area()))?;
        loop {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(());
            }
            if event::poll(TICK)? {
                match event::read()? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => {
                        if press(view, key, isize::try_from(size.height).unwrap_or_default()) {
                            return Ok(());
                        }
                        break;
                    }
                    Event::Resize(..) => break,
                    _ => {}
                }
            }
            match readings.try_recv() {
                Ok(reading) => {
                    view.take(reading);
                    break;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(io::Error::other("nothing is read any more")),
            }
        }
    }
}

/// Does what a key asks for. True: to end.
fn press(view: &mut View, key: KeyEvent, page: isize) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Char('s') => view.sort = Sort::Spend,
        KeyCode::Char('r') => view.sort = Sort::Rate,
        KeyCode::Char('t') => view.sort = Sort::Tokens,
        KeyCode::Char('c') => view.sort = Sort::Calls,
        KeyCode::Char('n') => view.sort = Sort::Name,
        KeyCode::Char('g') => view.by = view.by.next(),
        KeyCode::Up => view.scroll(-1),
        KeyCode::Down => view.scroll(1),
        KeyCode::PageUp => view.scroll(page.saturating_neg()),
        KeyCode::PageDown => view.scroll(page),
        KeyCode::Home => view.scroll(isize::MIN),
        KeyCode::End => view.scroll(isize::MAX),
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::rows::By;
    use super::*;

    #[test]
    fn contract_keys_sort_group_scroll_and_end() {
        let mut view = View::new(String::new(), TICK, By::Both, Sort::Spend);
        let mut press = |code, modifiers| super::press(&mut view, KeyEvent::new(code, modifiers), 10);
        let none = KeyModifiers::NONE;
        assert!(press(KeyCode::Char('q'), none) && press(KeyCode::Esc, none));
        assert!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), "Ctrl-C comes as a key");
        for key in ['t', 'g'] {
            assert!(!press(KeyCode::Char(key), none));
        }
        for code in [KeyCode::Up, KeyCode::PageDown, KeyCode::End, KeyCode::Home, KeyCode::F(5)] {
            assert!(!press(code, none));
        }
        assert_eq!((view.sort, view.by), (Sort::Tokens, By::Tenant));
        assert!(!super::press(&mut view, KeyEvent::new(KeyCode::Char('c'), none), 10));
        assert_eq!(view.sort, Sort::Calls);
    }
}
