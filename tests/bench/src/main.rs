//! What metering costs: each kind is a real Envoy of its own, pinned to one core; the load and the provider have the
//! other. Kinds take turns within each round, so that whatever drifts hits all alike.

mod args;
mod chart;
mod compare;
mod cores;
mod growth;
mod head;
mod hold;
mod kind;
mod lender;
mod load;
mod measure;
mod memory;
mod pacer;
mod plot;
mod proxy;
mod server;
mod shape;
mod table;
mod text;

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::Parser;
use e2e::{Result, bootstrap::Bootstrap, identity::Identity, stack};

use crate::{
    args::{Args, What},
    kind::Kind,
    server::Server,
};

/// What all measurements stand on.
pub struct World {
    /// The provider: it responds to every kind alike.
    provider: Server,
    /// The bootstrap that users take, pointed at the provider.
    shipped: Bootstrap,
    _dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let provider = Server::start().await?;
        let dir = tempfile::tempdir()?;
        let identity = Identity::create(dir.path())?;
        let shipped = stack::bootstrap(dir.path(), &identity, provider.address, provider.address)?;
        Ok(Self { provider, shipped, _dir: dir })
    }

    /// All kinds; `also` are further builds of meshmeter's filter.
    fn kinds(&self, also: &[(String, PathBuf)]) -> Result<Vec<Kind>> {
        kind::all(&self.shipped, &rivals()?, also)
    }

    /// One of them.
    fn kind(&self, name: &str) -> Result<Kind> {
        let found = self.kinds(&[])?.into_iter().find(|kind| kind.name == name);
        found.ok_or_else(|| format!("there is no kind {name}").into())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    cores::take()?;
    let world = World::start().await?;
    match args.what() {
        What::Compare => compare::run(&args, &world).await,
        What::Growth => growth::run(&args, &world).await,
        What::Memory => memory::run(&args, &world).await,
    }
}

/// Where the rivals' wasm is: `MESHMETER_RIVALS`, else where cargo puts it beside this very binary.
fn rivals() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("MESHMETER_RIVALS") {
        return Ok(folder.into());
    }
    let exe = env::current_exe()?;
    let target = exe.ancestors().nth(2).ok_or("the bench is in no target folder")?;
    Ok(Path::new(target).join("wasm32-wasip1/release"))
}
