//! Who reads, and which tenants they may know of. Every route that reads is entered here, and nowhere else: a read token with
//! `tenants=` gets nothing of others, whatever it asks.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::Next;
use axum::response::Response;

use super::auth::Scope;
use super::connections::Connection;
use super::{App, web};
use crate::ingest::refusal::Refusal;
use crate::ledger::limits::Limits;
use crate::report::{BadParameter, Kind, Question, Restriction};

/// What a route that reads tells whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowing {
    /// Each reader what concerns its tenants: the handler asks by [`Reader::question`], or judges by [`Reader::restriction`].
    ItsTenants,
    /// Everything, so that a reader of some tenants is refused.
    AllTenants,
}

/// The way into a route.
#[derive(Clone)]
pub struct Door {
    pub app: Arc<App>,
    pub path: &'static str,
    pub knowing: Knowing,
}

/// A reader who was let in. Only [`admit`] makes one: a handler that takes it as an extension is out of reach without.
#[derive(Clone, Debug)]
pub struct Reader {
    credential: String,
    limits: Arc<Limits>,
}

impl Reader {
    /// Reads the parameters of a question, about nothing but the tenants that this reader may know of.
    pub fn question(
        &self,
        kind: Kind,
        parameters: Vec<(String, String)>,
        now_ns: i64,
    ) -> Result<Question, BadParameter> {
        Ok(Question { restriction: self.restriction(), ..Question::of(kind, parameters, now_ns)? })
    }

    /// The tenants that it may know of.
    pub fn restriction(&self) -> Restriction {
        if self.is_restricted() { Restriction::to(self.limits.tenants.clone()) } else { Restriction::NONE }
    }

    /// The name of its credential.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Whether there are tenants that it may not know of.
    pub fn is_restricted(&self) -> bool {
        !self.limits.tenants.is_empty()
    }
}

/// Lets a reader pass whose token may know what the route tells.
pub async fn admit(
    State(Door { app, path, knowing }): State<Door>,
    Extension(connection): Extension<Arc<Connection>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    // The cookie of a session is looked at here and nowhere else: it sends and changes nothing.
    let admitted = match web::secret(&app, request.headers()) {
        Some(secret) => app.admit_secret(&connection, &secret, &[Scope::Read]).await?,
        None => app.admit(&connection, request.headers(), &[Scope::Read]).await?,
    };
    let reader = Reader { credential: admitted.sender.credential, limits: admitted.sender.limits };
    if knowing == Knowing::AllTenants && reader.is_restricted() {
        return Err(Refusal::OtherTenants(path));
    }
    request.extensions_mut().insert(reader);
    let mut response = next.run(request).await;
    // What a browser keeps outlasts its session. A handler may say that it can be kept and is to be asked for again.
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}
