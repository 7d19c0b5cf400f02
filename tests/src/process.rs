//! A child process whose output goes to files, which is asked to stop on drop, and killed if it does not.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, wait};

/// Envoy and the collector end within a fraction of this.
const GRACE: Duration = Duration::from_secs(10);
const TAIL_LINES: usize = 60;

/// Envoy lists its extensions in lines of thousands of characters, in which a reader of CI's log loses what failed.
const TAIL_COLUMNS: usize = 300;

/// Time on the CPU, by the scheduler, to the nanosecond.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// On it.
    pub used: Duration,
    /// Ready for it, while others had it.
    pub waited: Duration,
}

impl Cpu {
    /// Of the thread that asks.
    pub fn own() -> Result<Self> {
        Self::of(Path::new("/proc/thread-self"))
    }

    fn of(thread: &Path) -> Result<Self> {
        let text = fs::read_to_string(thread.join("schedstat"))?;
        let mut times = text.split_whitespace().map(|time| time.parse().map(Duration::from_nanos));
        match (times.next(), times.next()) {
            (Some(used), Some(waited)) => Ok(Self { used: used?, waited: waited? }),
            _ => Err(format!("the scheduler says {text:?}").into()),
        }
    }

    /// Since then.
    pub fn since(self, before: Self) -> Self {
        Self { used: self.used.saturating_sub(before.used), waited: self.waited.saturating_sub(before.waited) }
    }
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    ended: Option<ExitStatus>,
    quiet: bool,
}

impl Process {
    /// Starts `command`; its output goes to `NAME.out` and `NAME.err` in `dir`.
    pub fn start(name: &'static str, dir: &Path, command: &mut Command) -> Result<Self> {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .map_err(|error| format!("cannot start {name} ({:?}): {error}", command.get_program()))?;
        Ok(Self { name, child, out, err, ended: None, quiet: false })
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.out)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.err)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What its threads have used of the CPU so far.
    pub fn cpu(&self) -> Result<Cpu> {
        let mut all = Cpu::default();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = Cpu::of(&thread?.path())?;
            all = Cpu { used: all.used + thread.used, waited: all.waited + thread.waited };
        }
        Ok(all)
    }

    /// How it ended, if it has.
    pub fn exit(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Fails if it has ended, with the end of its log.
    pub fn alive(&mut self) -> Result<()> {
        match self.exit()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended with {status}:\n{}", self.name, self.tail()).into()),
        }
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + wait::PATIENCE;
        loop {
            if let Some(status) = self.exit()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(format!("{} is still running", self.name).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to stop and waits; a process that does not is killed, and that is an error.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.exit()? {
            return Ok(status);
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if let Some(status) = self.exit()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.child.kill()?;
        self.ended = Some(self.child.wait()?);
        Err(format!("{} did not stop and was killed", self.name).into())
    }

    /// Ends it at once (SIGKILL): it can do nothing about it.
    pub fn kill(&mut self) -> Result<()> {
        if self.exit()?.is_none() {
            self.child.kill()?;
            self.ended = Some(self.child.wait()?);
        }
        Ok(())
    }

    /// From here on it went well: no log is printed on drop.
    pub fn quiet(&mut self) {
        self.quiet = true;
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        let log = self.stderr();
        let lines: Vec<String> = log.lines().map(|line| line.chars().take(TAIL_COLUMNS).collect()).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error}");
        }
        // The test that ends well says so; everything else wants the log.
        if !self.quiet {
            eprintln!("--- {}: the end of its log\n{}", self.name, self.tail());
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
