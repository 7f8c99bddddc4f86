//! `/health` and `/metrics` by HTTP, for probes and for Prometheus.
//!
//! Nothing can be changed by it and nothing secret is told, so it asks for no password.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue},
    },
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::{connection::Connections, health::health, metrics, snapshot::Snapshot};

/// Takes a snapshot of this moment. Must not block.
type Look = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// The server. It ends when this is dropped.
pub struct Api {
    address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Api {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves at `address` what `look` sees each time.
///
/// # Errors
/// If nothing can listen there, such as where the address is in use.
pub async fn serve(
    address: SocketAddr,
    look: impl Fn() -> Snapshot + Send + Sync + 'static,
) -> io::Result<Api> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let router = router(Arc::new(look));
    let server = tokio::spawn(async move {
        // It never returns: a connection that cannot be accepted is tried again.
        let _ = axum::serve(Connections::new(listener), router).await;
    });
    info!(%address, "serving /health and /metrics");
    Ok(Api {
        address,
        _server: AbortOnDropHandle::new(server),
    })
}

fn router(look: Look) -> Router {
    Router::new()
        .route("/health", get(readiness))
        .route("/health/ready", get(readiness))
        .route("/health/live", get(liveness))
        .route("/metrics", get(scrape))
        .fallback(async || (StatusCode::NOT_FOUND, "there are /health and /metrics\n"))
        .layer(middleware::map_response(last_of_its_connection))
        .with_state(look)
}

async fn readiness(State(look): State<Look>) -> Response {
    let health = health(&look());
    let status = if health.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &health)
}

/// That it answers is the answer.
async fn liveness(State(look): State<Look>) -> Response {
    json(StatusCode::OK, &health(&look()))
}

async fn scrape(State(look): State<Look>) -> Response {
    let headers = [(CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (headers, metrics::text(look())).into_response()
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => {
            let headers: [(HeaderName, &str); 2] = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ];
            (status, headers, text + "\n").into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Nobody keeps a connection: there are few places, and each is given up soon.
async fn last_of_its_connection(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;
