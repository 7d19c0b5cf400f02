//! Kinds of reports: what can be asked of each. What a message says is allowed is what is accepted.

use super::dimension::{self, Dimension};
use super::question::{BadParameter, DEFAULT_BY, PARAMETERS, Parameter};
use super::{focus, latency};

/// What is made of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Usage and costs.
    #[default]
    Report,
    /// How long calls took.
    Latency,
    /// Usage and costs in the form of FOCUS.
    Focus,
}

impl Kind {
    /// The parameters of a report that are none of this kind, and why.
    fn without(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Report => &[],
            Kind::Latency => &latency::NOT_HERE,
            Kind::Focus => &focus::NOT_HERE,
        }
    }

    /// Its parameters, beside filters, and what is said of the form.
    pub fn parameters(self) -> impl Iterator<Item = &'static Parameter> {
        PARAMETERS.iter().filter(move |known| self.without().iter().all(|(name, _)| *name != known.name))
    }

    /// A parameter of its; an error says what else there is.
    pub(super) fn parameter(self, name: &str) -> Result<&'static Parameter, BadParameter> {
        let problem = match self.without().iter().find(|(not, _)| *not == name) {
            Some((_, why)) => format!("cannot be asked for: {why}"),
            None => match self.parameters().find(|known| known.name == name) {
                Some(known) => return Ok(known),
                None => format!("is no parameter; allowed: {}, and the filters {}", self.names().join(", "), filters()),
            },
        };
        Err(BadParameter { name: name.to_owned(), problem })
    }

    /// The names of all that is a parameter over HTTP, without filters.
    fn names(self) -> Vec<&'static str> {
        let options = focus::PARAMETERS.iter().map(|(name, ..)| *name).filter(|_| self == Kind::Focus);
        self.parameters().map(|known| known.name).chain(options).chain(["format"]).collect()
    }

    /// The columns, if nobody says which.
    pub fn default_by(self) -> &'static str {
        match self {
            Kind::Report | Kind::Focus => DEFAULT_BY,
            Kind::Latency => latency::DEFAULT_BY,
        }
    }

    /// Reads the columns that tell lines apart. Of usage and costs lines of different evidence are apart in any case.
    pub(super) fn columns(self, text: &str) -> Result<Vec<Dimension>, String> {
        let mut by = dimension::all_dimensions(text)?;
        by.retain(|dimension| self == Kind::Latency || *dimension != Dimension::Evidence);
        Ok(by)
    }

    /// Whether it is made from single calls, whatever is asked for.
    pub(super) fn reads_calls(self) -> bool {
        self != Kind::Report
    }
}

/// Filters, by their names, for messages.
pub fn filters() -> String {
    let names = dimension::described().filter(|(.., is_filter)| *is_filter).map(|(name, ..)| name);
    names.collect::<Vec<_>>().join(", ")
}
