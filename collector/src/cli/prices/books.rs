//! The price books that a command rates by.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use collector::prices::{self, PriceBook};

use crate::cli::Failure;

/// The price books that a command rates by.
#[derive(Args)]
pub struct Books {
    /// Price book (TOML). It may be given several times: the first book that has an entry for a call decides, the built-in
    /// one of list prices comes last.
    #[arg(long = "prices", value_name = "FILE", env = "MESHMETER_PRICES")]
    files: Vec<PathBuf>,
    /// Without the built-in book of list prices: what no other book has is unpriced.
    #[arg(long, env = "MESHMETER_NO_BUILTIN_PRICES", value_parser = BoolishValueParser::new())]
    no_builtin_prices: bool,
}

impl From<Books> for prices::Books {
    fn from(books: Books) -> prices::Books {
        prices::Books { files: books.files, with_built_in: !books.no_builtin_prices }
    }
}

impl Books {
    /// Reads them, if there are any.
    pub(in crate::cli) fn load(self) -> Result<Option<PriceBook>, Failure> {
        prices::Books::from(self).load().map_err(Failure::Failed)
    }

    /// Reads them; there must be one.
    pub(in crate::cli) fn required(self) -> Result<PriceBook, Failure> {
        self.load()?.ok_or_else(|| Failure::Failed("no price book: name one with --prices FILE".to_owned()))
    }
}
