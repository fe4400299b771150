//! What the layer knows of an RPC by its path: whether it is billed, which limits it has, which way it streams.

use crate::billing::{NONE, OPERATIONS};
use crate::capacity::Pool;

/// The RPC of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The name of an RPC of DataService, all of which are billed, or [`NONE`] for an unknown one; none for other
    /// services.
    pub(super) operation: Option<&'static str>,
    /// The places that it takes one of.
    pub(super) pool: Pool,
    /// It streams in either direction.
    pub(super) streams: bool,
    /// It takes more than one request message.
    pub(super) streams_requests: bool,
}

impl Route {
    /// The RPC of a path.
    pub(super) fn of(path: &str) -> Route {
        let Some(method) = path.strip_prefix("/tollgate.v1.DataService/") else {
            return Route::unbilled(path);
        };
        let known = OPERATIONS.into_iter().find(|name| *name == method);
        Route {
            operation: Some(known.unwrap_or(NONE)),
            pool: Pool::Data,
            streams: matches!(
                method,
                "Query" | "Scan" | "BatchGet" | "BatchWrite" | "Upload" | "Download"
            ),
            streams_requests: matches!(method, "BatchWrite" | "Upload"),
        }
    }

    fn unbilled(path: &str) -> Route {
        let is_reflection = path.starts_with("/grpc.reflection.");
        let pool = match path {
            "/grpc.health.v1.Health/Watch" | "/tollgate.v1.MetricsService/WatchMetrics" => Pool::LongLived,
            _ if is_reflection => Pool::LongLived,
            _ if path.starts_with("/grpc.health.v1.Health/") => Pool::Health,
            _ => Pool::Control,
        };
        Route {
            operation: None,
            pool,
            streams: pool == Pool::LongLived || path == "/tollgate.v1.AdminService/Sweep",
            streams_requests: is_reflection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        let of = |path: &str| {
            let route = Route::of(path);
            (route.operation, route.pool, route.streams, route.streams_requests)
        };
        let get = (Some("Get"), Pool::Data, false, false);
        assert_eq!(of("/tollgate.v1.DataService/Get"), get);
        let scan = (Some("Scan"), Pool::Data, true, false);
        assert_eq!(of("/tollgate.v1.DataService/Scan"), scan);
        assert_eq!(of("/tollgate.v1.DataService/Nope").0, Some(NONE));
        let check = (None, Pool::Health, false, false);
        assert_eq!(of("/grpc.health.v1.Health/Check"), check);
        let watch = (None, Pool::LongLived, true, false);
        assert_eq!(of("/grpc.health.v1.Health/Watch"), watch);
        let reflection = (None, Pool::LongLived, true, true);
        let path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
        assert_eq!(of(path), reflection);
        let metrics = (None, Pool::Control, false, false);
        assert_eq!(of("/tollgate.v1.MetricsService/ResetMetrics"), metrics);
    }
}
