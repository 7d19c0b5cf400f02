//! Where credentials stand: a variable or a file for each scope.

use std::path::PathBuf;

use super::{Scope, Token};
use crate::serve::files;

/// Where the credentials of a scope stand.
#[derive(Clone, Debug)]
pub struct Source {
    /// What they are good for.
    pub scope: Scope,
    /// The variable that holds them if there is no file.
    pub variable: String,
    /// The file that holds them.
    pub file: Option<PathBuf>,
}

/// Where all of them stand, and what they must be like.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// One a scope.
    pub of: Vec<Source>,
    /// Files may be readable for everybody.
    pub allow_readable: bool,
    /// Client certificates are asked for and verified.
    pub client_certificates: bool,
}

/// Why they cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// They are not as they must be.
    Usage(String),
    /// They cannot be read.
    Unreadable(String),
}

impl Problem {
    /// What to say of it. No token is in it.
    pub fn text(&self) -> &str {
        match self {
            Problem::Usage(text) | Problem::Unreadable(text) => text,
        }
    }
}

impl Sources {
    /// Reads all of them.
    pub fn load(&self) -> Result<Vec<(Scope, Token)>, Problem> {
        let mut known: Vec<(Scope, Token)> = Vec::new();
        for source in &self.of {
            for (token, from) in self.tokens(source)? {
                if known.iter().any(|(_, other)| other.is_same(&token)) {
                    return Err(Problem::Usage(format!(
                        "{from}: {token:?}: no two tokens may be the same: each has one name and one scope"
                    )));
                }
                if source.scope == Scope::Read && token.limits_sending() {
                    return Err(Problem::Usage(format!(
                        "{from}: {token:?}: rate=, max_tokens= and max_usd= are for those who send; a read token can have tenants="
                    )));
                }
                if token.is_spiffe() && !self.client_certificates {
                    return Err(Problem::Usage(format!("{from}: {token:?}: a SPIFFE id needs --tls-client-ca")));
                }
                known.push((source.scope, token));
            }
        }
        Ok(known)
    }

    /// The files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.of.iter().filter_map(|source| source.file.clone()).collect()
    }

    /// The tokens of one, each with where it stands.
    fn tokens(&self, source: &Source) -> Result<Vec<(Token, String)>, Problem> {
        let (from, text) = match &source.file {
            Some(file) => {
                let bytes = files::read(file, true, self.allow_readable).map_err(Problem::Unreadable)?;
                let text = String::from_utf8(bytes).map_err(|_| {
                    Problem::Unreadable(format!("{}: must be a text of visible ASCII characters", file.display()))
                })?;
                (file.display().to_string(), text)
            }
            None => (source.variable.clone(), std::env::var(&source.variable).unwrap_or_default()),
        };
        let mut tokens = Vec::new();
        for (line, number) in text.lines().zip(1_u32..) {
            if line.trim().is_empty() {
                continue;
            }
            let from = format!("{from}, line {number}");
            let token = Token::parse(line).map_err(|problem| Problem::Unreadable(format!("{from}: {problem}")))?;
            tokens.push((token, from));
        }
        if tokens.is_empty() && source.file.is_some() {
            return Err(Problem::Unreadable(format!("{from}: has no token in it")));
        }
        Ok(tokens)
    }
}
