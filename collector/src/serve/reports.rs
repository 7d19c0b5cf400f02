//! Reports over HTTP: `/v1/report` has all lines, `/v1/usage` and `/v1/costs` one half of the figures each, and never more lines
//! than a client can show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Extension, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::App;
use super::query::Parameters;
use super::readers::Reader;
use super::responses::{NotRead, blocking};
use super::scans::{Own, Place};
use crate::ingest::refusal::{Busy, Refusal};
use crate::report::latency::Latency;
use crate::report::{
    BadParameter, Bounds, Figures, Format, Kind, MAX_TOP, Position, Question, Report, ReportError, Top, focus,
};
use crate::store::Head;
use crate::store::months::Month;

/// Calls that a report may read, if the sums cannot tell: some seconds for a million. The command has no such bound.
pub const MAX_CALLS: u64 = 5_000_000;
/// Lines of a report: it is one text, and in memory until it is sent.
pub const MAX_LINES: usize = 100_000;
/// How lines can be written, and of which type they are then.
pub const TABLES: [(&str, Format, &str); 3] = [
    ("json", Format::Json, "application/json"),
    ("csv", Format::Csv, CSV),
    ("markdown", Format::Markdown, "text/markdown; charset=utf-8"),
];
const CSV: &str = "text/csv; charset=utf-8";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The lines of a report.
    Report(Format),
    /// The rows of FOCUS.
    Focus,
}

/// The names of all forms in which some figures can be written.
pub fn formats(figures: Figures) -> Vec<&'static str> {
    forms(figures).into_iter().map(|(name, ..)| name).collect()
}

/// FOCUS is about costs.
fn forms(figures: Figures) -> Vec<(&'static str, Form, &'static str)> {
    let tables = TABLES.map(|(name, format, content_type)| (name, Form::Report(format), content_type));
    let focus = (figures != Figures::Usage).then_some((focus::NAME, Form::Focus, CSV));
    tables.into_iter().chain(focus).collect()
}

pub async fn report(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let asked = Asked::read(&reader, Figures::All, parameters)?;
    let Form::Report(format) = asked.form else { return app.focus(&reader, asked).await };
    let report = app.report(&reader, asked.question).await?;
    let lines = report.len();
    if lines > MAX_LINES {
        let problem = format!(
            "top: there are {lines} lines, and at most {MAX_LINES} are sent; top, fewer columns in by, or a shorter period"
        );
        return Err(Refusal::BadRequest(problem));
    }
    render(report, format, asked.content_type).await
}

pub async fn usage(
    app: State<Arc<App>>,
    reader: Extension<Reader>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    figures(app, reader, headers, parameters, Figures::Usage).await
}

pub async fn costs(
    app: State<Arc<App>>,
    reader: Extension<Reader>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    figures(app, reader, headers, parameters, Figures::Costs).await
}

pub async fn latency(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let ((format, content_type), parameters) = chosen(&TABLES, parameters)?;
    let question = reader.question(Kind::Latency, parameters, now_ns());
    let question = question.map_err(|bad| Refusal::BadRequest(bad.to_string()))?;
    let store = app.reader.clone();
    let text = app.within(&reader, Reads::of(&question), move |bounds| {
        Latency::within(&*store, question, bounds)?.render(format)
    });
    Ok(([(CONTENT_TYPE, content_type)], text.await?).into_response())
}

async fn figures(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    parameters: Parameters,
    figures: Figures,
) -> Result<Response, Refusal> {
    let asked = Asked::read(&reader, figures, parameters)?;
    // How far the ledger has got says how much others use.
    let begun = if reader.is_restricted() { None } else { Some(app.heads().await?) };
    let tag = begun.as_ref().map(|heads| tag(&format!("{figures:?} {asked:?} {heads:?}")));
    if let Some(tag) = tag.as_ref().filter(|tag| headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, tag))) {
        return Ok((StatusCode::NOT_MODIFIED, kept(tag)).into_response());
    }
    let tagged = |response: Response| match tag {
        Some(tag) => (kept(&tag), response).into_response(),
        None => response,
    };
    let Form::Report(format) = asked.form else { return app.focus(&reader, asked).await.map(tagged) };
    let sort = asked.question.top.map(|top| top.sort).unwrap_or_default();
    let report = app.report(&reader, asked.question).await?;
    let position = match begun {
        Some(heads) => Some(Position { exact: app.heads().await? == heads, heads }),
        None => None,
    };
    let lines = Top { lines: MAX_TOP, sort };
    let report = blocking(move || report.at_most(lines).map_err(|error| error.to_string())).await;
    let report = report.map_err(Refusal::Internal)?.of_figures(figures, position);
    render(report, format, asked.content_type).await.map(tagged)
}

/// What was asked for, and how it is to be written.
#[derive(Debug)]
struct Asked {
    question: Question,
    form: Form,
    content_type: &'static str,
    focus: focus::Options,
}

impl Asked {
    fn read(reader: &Reader, figures: Figures, parameters: Parameters) -> Result<Asked, Refusal> {
        let ((form, content_type), parameters) = chosen(&forms(figures), parameters)?;
        let bad = |bad: BadParameter| Refusal::BadRequest(bad.to_string());
        // Elsewhere they are parameters that nobody knows.
        let is_option = |name: &str| form == Form::Focus && focus::PARAMETERS.iter().any(|(known, ..)| *known == name);
        let (options, parameters): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(name, _)| is_option(name));
        let mut focus = focus::Options::default();
        options.iter().try_for_each(|(name, value)| focus.set(name, value)).map_err(bad)?;
        let kind = if form == Form::Focus { Kind::Focus } else { Kind::Report };
        let question = reader.question(kind, parameters, now_ns()).map_err(bad)?;
        Ok(Asked { question, form, content_type, focus })
    }
}

/// A form with its type, and the parameters beside it.
type Chosen<F> = ((F, &'static str), Vec<(String, String)>);

/// The form of these that is asked for, the first one if none is, and the other parameters.
fn chosen<F: Copy>(forms: &[(&str, F, &'static str)], parameters: Parameters) -> Result<Chosen<F>, Refusal> {
    let Parameters(parameters) = parameters;
    let (formats, parameters): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(name, _)| name == "format");
    let form = match formats.as_slice() {
        [] => forms.first(),
        [(_, format)] => forms.iter().find(|(name, ..)| name == format),
        _ => return Err(Refusal::BadRequest("format: is given more than once".to_owned())),
    };
    let all = || forms.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
    let (_, form, content_type) =
        form.ok_or_else(|| Refusal::BadRequest(format!("format: must be one of {}", all())))?;
    Ok(((*form, content_type), parameters))
}

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

async fn render(report: Report, format: Format, content_type: &'static str) -> Result<Response, Refusal> {
    let text = blocking(move || report.render(format).map_err(|error| error.to_string()));
    let text = text.await.map_err(Refusal::Internal)?;
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}

/// What a question reads.
#[derive(Clone, Copy, Debug)]
enum Reads {
    /// The sums, which the database has.
    Sums,
    /// The calls from this month on; from the first one on without it.
    Calls { since: Option<Month> },
}

impl Reads {
    fn of(question: &Question) -> Reads {
        if question.reads_entries() { Reads::Calls { since: question.first_month() } } else { Reads::Sums }
    }
}

/// Tells whoever works for a request that nobody waits for its end any more.
#[derive(Default)]
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl App {
    /// Makes a report.
    async fn report(&self, who: &Reader, question: Question) -> Result<Report, Refusal> {
        let reader = self.reader.clone();
        let reads = Reads::of(&question);
        self.within(who, reads, move |bounds| Report::within(&*reader, question, bounds)).await
    }

    /// Makes the rows of FOCUS.
    async fn focus(&self, who: &Reader, asked: Asked) -> Result<Response, Refusal> {
        let Asked { question, focus: options, content_type, .. } = asked;
        let reader = self.reader.clone();
        let most = u64::try_from(MAX_LINES).unwrap_or(u64::MAX);
        let rows = self.within(who, Reads::of(&question), move |bounds| {
            let mut text = Vec::new();
            focus::write(&*reader, &question, &options, bounds, Some(most), &mut text).map(|_| text)
        });
        Ok(([(CONTENT_TYPE, content_type)], rows.await?).into_response())
    }

    /// Makes what takes no more than is allowed. What reads calls waits for its turn: it takes as long as there are calls.
    async fn within<T: Send + 'static>(
        &self,
        who: &Reader,
        reads: Reads,
        make: impl FnOnce(&mut Bounds<'_>) -> Result<T, ReportError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (_own, place) = match reads {
            Reads::Sums => (None, None),
            Reads::Calls { since } => {
                let (own, place) = self.turn(who, since).await?;
                (Some(own), Some(place))
            }
        };
        let waiting = Waiting::default();
        let gone = waiting.0.clone();
        let made = self.reading(move || {
            // An archive can hold the work longer than anybody waits for it.
            let _place = place;
            let mut each =
                |_| if gone.load(Ordering::Relaxed) { Err("nobody waits for it".to_owned()) } else { Ok(()) };
            match make(&mut Bounds { calls: MAX_CALLS, each: &mut each }) {
                Err(ReportError::TooMuch(problem)) => Ok(Err(problem)),
                made => made.map(Ok).map_err(NotRead::from),
            }
        });
        made.await?.map_err(Refusal::BadRequest)
    }

    /// Waits for the turn of a question that reads calls, from this month on.
    async fn turn(&self, who: &Reader, since: Option<Month>) -> Result<(Own, Place), Refusal> {
        let stopping = |_| Refusal::Busy(Busy::Stopping);
        let own = self.scans.own(who.credential()).await.map_err(stopping)?;
        let reader = self.reader.clone();
        let sealed = self.reading(move || reader.sealed().map_err(NotRead::from)).await?;
        let of_archive = sealed.iter().any(|sealed| sealed.counts_from(since));
        Ok((own, self.scans.place(of_archive).await.map_err(stopping)?))
    }

    /// Where the ledger's chains end.
    async fn heads(&self) -> Result<Vec<Head>, Refusal> {
        let reader = self.reader.clone();
        self.reading(move || reader.heads().map_err(NotRead::from)).await
    }
}

/// Names a response by what it is made from: the question, and the ledger's entries. Weak, for entries that come while it is
/// made may be in it.
fn tag(of: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::new().chain_update(env!("CARGO_PKG_VERSION")).chain_update(of).finalize();
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{digits}\"")
}

/// Whether a list of `If-None-Match` has a tag. `*` stands for any, and there is one.
fn names(list: &HeaderValue, tag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    list.to_str().is_ok_and(|list| list.split(',').any(|known| known.trim() == "*" || strong(known) == strong(tag)))
}

/// To be kept by whoever asked, and asked for again before it is shown.
fn kept(tag: &str) -> [(axum::http::HeaderName, String); 2] {
    [(ETAG, tag.to_owned()), (CACHE_CONTROL, "private, no-cache".to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_client_that_has_the_response_is_recognised_by_any_form_of_its_tag() {
        let tag = tag("a question and a ledger");
        let strong = tag.trim_start_matches("W/");
        let is_known = |list: &str| names(&HeaderValue::from_str(list).unwrap(), &tag);
        for list in [tag.as_str(), strong, "*", &format!("\"other\", {tag}"), &format!("{strong} , W/\"x\"")] {
            assert!(is_known(list), "{list}");
        }
        for list in ["", "\"other\"", "W/", strong.trim_matches('"')] {
            assert!(!is_known(list), "{list}");
        }
        assert_ne!(tag, super::tag("another question"));
    }
}
