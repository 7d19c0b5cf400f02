//! Who reads, and which tenants they may know of. Every route that reads is entered here, and nowhere else: a read token with
//! `tenants=` gets nothing of others, whatever it asks.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use super::auth::Scope;
use super::connections::Connection;
use crate::ingest::refusal::Refusal;
use crate::ledger::limits::Limits;
use crate::report::{BadParameter, Question, Restriction};

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
    limits: Arc<Limits>,
}

impl Reader {
    /// Reads the parameters of a question, about nothing but the tenants that this reader may know of.
    pub fn question(&self, parameters: Vec<(String, String)>, now_ns: i64) -> Result<Question, BadParameter> {
        Ok(Question { restriction: self.restriction(), ..Question::parse(parameters, now_ns)? })
    }

    /// The tenants that it may know of.
    pub fn restriction(&self) -> Restriction {
        if self.is_restricted() { Restriction::to(self.limits.tenants.clone()) } else { Restriction::NONE }
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
    let admitted = app.admit(&connection, request.headers(), &[Scope::Read]).await?;
    let reader = Reader { limits: admitted.sender.limits };
    if knowing == Knowing::AllTenants && reader.is_restricted() {
        return Err(Refusal::OtherTenants(path));
    }
    request.extensions_mut().insert(reader);
    Ok(next.run(request).await)
}
