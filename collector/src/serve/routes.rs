//! What is served: every path with who may ask, its handler and its description. The router, the response to an unknown path and
//! the OpenAPI document are made from this table, so that none of them knows a path that another does not.

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};

use super::auth::Scope;
use super::openapi::{self, Operation};
use super::readers::{self, Knowing};
use super::{App, budgets, compress, health, ingest, leases, missing, refusal, reports, responses, wanting, web};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever asks.
    Open,
    /// Whoever sends, with a token of one of these scopes. The handler lets them in: it has to read what is left of a body that
    /// is refused.
    Send(&'static [Scope]),
    /// Whoever reads. The route lets them in, before its handler.
    Read(Knowing),
}

/// The method of a route. A path has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Also answers `HEAD`.
    Get,
    Post,
}

impl Method {
    /// As the OpenAPI document writes it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
        }
    }
}

/// A path that is served.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    /// Of the method above.
    handler: fn() -> MethodRouter<Arc<App>>,
    /// What the OpenAPI document says of it.
    pub describe: fn() -> Operation,
}

const SENDING: Access = Access::Send(&[Scope::Ingest, Scope::Journal]);

/// All of them.
pub const ROUTES: [Route; 13] = [
    Route {
        method: Method::Post,
        path: "/v1/events",
        access: SENDING,
        handler: || post(ingest::events),
        describe: openapi::sending::events,
    },
    Route {
        method: Method::Post,
        path: "/v1/leases",
        access: Access::Send(&[Scope::Ingest]),
        handler: || post(leases::handle),
        describe: openapi::sending::leases,
    },
    Route {
        method: Method::Post,
        path: "/v1/missing",
        access: Access::Send(&[Scope::Journal]),
        handler: || post(missing::handle),
        describe: openapi::sending::missing,
    },
    Route {
        method: Method::Get,
        path: "/v1/report",
        access: Access::Read(Knowing::ItsTenants),
        handler: || get(reports::report),
        describe: openapi::reading::report,
    },
    Route {
        method: Method::Get,
        path: "/v1/usage",
        access: Access::Read(Knowing::ItsTenants),
        handler: || get(reports::usage),
        describe: openapi::reading::usage,
    },
    Route {
        method: Method::Get,
        path: "/v1/costs",
        access: Access::Read(Knowing::ItsTenants),
        handler: || get(reports::costs),
        describe: openapi::reading::costs,
    },
    Route {
        method: Method::Get,
        path: "/v1/latency",
        access: Access::Read(Knowing::ItsTenants),
        handler: || get(reports::latency),
        describe: openapi::reading::latency,
    },
    Route {
        method: Method::Get,
        path: "/v1/budgets",
        access: Access::Read(Knowing::ItsTenants),
        handler: || get(budgets::handle),
        describe: openapi::reading::budgets,
    },
    Route {
        method: Method::Get,
        path: "/v1/gaps",
        access: Access::Read(Knowing::AllTenants),
        handler: || get(wanting::handle),
        describe: openapi::reading::gaps,
    },
    Route {
        method: Method::Get,
        path: "/v1/openapi.json",
        access: Access::Open,
        handler: || get(openapi::handle),
        describe: openapi::about::openapi,
    },
    Route {
        method: Method::Get,
        path: "/metrics",
        access: Access::Read(Knowing::AllTenants),
        handler: || get(responses::metrics),
        describe: openapi::about::metrics,
    },
    Route {
        method: Method::Get,
        path: "/livez",
        access: Access::Open,
        handler: || get(health::live),
        describe: openapi::about::livez,
    },
    Route {
        method: Method::Get,
        path: "/readyz",
        access: Access::Open,
        handler: || get(health::ready),
        describe: openapi::about::readyz,
    },
];

/// The router of the collector's address.
pub fn router(app: Arc<App>) -> Router {
    let all = ROUTES.iter().fold(Router::new(), |router, route| {
        let handler = (route.handler)();
        let handler = match route.access {
            Access::Open | Access::Send(_) => handler,
            Access::Read(knowing) => {
                let state = readers::Door { app: app.clone(), path: route.path, knowing };
                handler.route_layer(middleware::from_fn_with_state(state, readers::admit))
            }
        };
        router.route(route.path, handler)
    });
    all.merge(web::router())
        .fallback(refusal::not_found)
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .layer(middleware::from_fn(compress::compress))
        .layer(middleware::from_fn_with_state(app.clone(), super::count_refusals))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTS: [(&str, &str); 2] = [
        ("docs/http-api.md", include_str!("../../../docs/http-api.md")),
        ("docs/operations.md", include_str!("../../../docs/operations.md")),
    ];

    #[test]
    fn contract_the_documents_say_of_every_path_who_may_ask() {
        for (name, text) in DOCUMENTS {
            for Route { method, path, access, .. } in &ROUTES {
                let named = format!("`{} {path}`", method.name().to_uppercase());
                let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
                let rows: Vec<&str> = rows.filter(|(paths, _)| paths.contains(&named)).map(|(_, rest)| rest).collect();
                let [row] = rows.as_slice() else { panic!("{name}: {named}: {rows:?}") };
                let said = row.split(" | ").next().unwrap().replace(" token", "").replace(',', "");
                let expected = match access {
                    Access::Open => "none",
                    Access::Send([Scope::Ingest, Scope::Journal]) => "ingest or journal",
                    Access::Send([Scope::Ingest]) => "ingest",
                    Access::Send([Scope::Journal]) => "journal",
                    Access::Send(other) => panic!("{named}: {other:?}"),
                    Access::Read(Knowing::ItsTenants) => "read",
                    Access::Read(Knowing::AllTenants) => "read without `tenants=`",
                };
                assert_eq!(said, expected, "{name}: {named}");
            }
        }
    }

    #[test]
    fn contract_the_reference_names_every_path_that_a_reader_of_some_tenants_cannot_ask() {
        let refused = ROUTES.iter().filter(|route| route.access == Access::Read(Knowing::AllTenants));
        let refused: Vec<String> = refused.map(|route| format!("`{}`", route.path)).collect();
        let said = format!("{}, which tell of all tenants, are 403", refused.join(" and "));
        let (name, text) = DOCUMENTS[0];
        assert!(text.contains(&said), "{name} does not say: {said}");
    }
}
