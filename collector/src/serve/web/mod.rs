//! The web page for people: its files, and logging in. Its own paths are no part of the API and change with it; what it shows, it
//! asks by the API like everybody.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::App;

mod files;
mod login;
mod sessions;

pub use login::secret;
pub use sessions::Sessions;

/// The paths of the page.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(files::page))
        .route("/assets/{file}", get(files::asset))
        .route("/login", post(login::login))
        .route("/logout", post(login::logout))
        .route("/session", get(login::session))
}
