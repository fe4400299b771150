//! The route of a request, by its path: whether the call is billed, which limits apply, and which way it streams.

use crate::capacity::Pool;
use crate::config::PublicService;
use crate::figure::Rpc;

const HEALTH: &str = "/grpc.health.v1.Health/";
const REFLECTION: &str = "/grpc.reflection.";

/// The RPC of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The RPC of DataService, all of which are billed; `None` for other services.
    pub(super) rpc: Option<Rpc>,
    /// The setting that makes it callable without an identity; `None`: none does.
    pub(super) public: Option<PublicService>,
    /// The pool that its permit is from.
    pub(super) pool: Pool,
    /// Whether it streams in either direction.
    pub(super) streams: bool,
    /// Whether it accepts more than one request message.
    pub(super) streams_requests: bool,
    /// Whether the request streams contents: the limit on the time of a message applies to all of them.
    pub(super) streams_contents: bool,
}

impl Route {
    /// Parses a request's path.
    pub(super) fn from_path(path: &str) -> Route {
        let Some(method) = path.strip_prefix("/tollgate.v1.DataService/") else {
            return Route::unbilled(path);
        };
        let rpc = Rpc::from_method(method);
        Route {
            rpc: Some(rpc),
            public: None,
            pool: Pool::Data,
            streams: rpc.kind().streams(),
            streams_requests: rpc.kind().streams_requests(),
            streams_contents: rpc.kind().streams_requests() && rpc.streams_content(),
        }
    }

    fn unbilled(path: &str) -> Route {
        let is_reflection = path.starts_with(REFLECTION);
        let pool = match path {
            "/grpc.health.v1.Health/Watch"
            | "/tollgate.v1.AdminService/Sweep"
            | "/tollgate.v1.MetricsService/WatchMetrics" => Pool::LongLived,
            _ if is_reflection => Pool::LongLived,
            _ if path.starts_with(HEALTH) => Pool::Health,
            _ => Pool::Control,
        };
        Route {
            rpc: None,
            public: match path {
                _ if is_reflection => Some(PublicService::Reflection),
                _ if path.starts_with(HEALTH) => Some(PublicService::Health),
                _ => None,
            },
            pool,
            streams: pool == Pool::LongLived,
            streams_requests: is_reflection,
            streams_contents: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_map_to_their_routes() {
        let of = |path: &str| {
            let route = Route::from_path(path);
            (route.rpc, route.pool, route.streams, route.streams_requests)
        };
        let get = (Some(Rpc::Get), Pool::Data, false, false);
        assert_eq!(of("/tollgate.v1.DataService/Get"), get);
        let scan = (Some(Rpc::Scan), Pool::Data, true, false);
        assert_eq!(of("/tollgate.v1.DataService/Scan"), scan);
        assert_eq!(of("/tollgate.v1.DataService/Nope").0, Some(Rpc::Unknown));
        let check = (None, Pool::Health, false, false);
        assert_eq!(of("/grpc.health.v1.Health/Check"), check);
        let watch = (None, Pool::LongLived, true, false);
        assert_eq!(of("/grpc.health.v1.Health/Watch"), watch);
        let reflection = (None, Pool::LongLived, true, true);
        let path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
        assert_eq!(of(path), reflection);
        let sweep = (None, Pool::LongLived, true, false);
        assert_eq!(of("/tollgate.v1.AdminService/Sweep"), sweep);
        let public = |path: &str| Route::from_path(path).public;
        assert_eq!(
            public("/grpc.health.v1.Health/Watch"),
            Some(PublicService::Health)
        );
        assert_eq!(
            public("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            Some(PublicService::Reflection)
        );
        for path in [
            "/tollgate.v1.MetricsService/GetTotalMetrics",
            "/tollgate.v1.DataService/Get",
            "/",
            "grpc.health.v1.Health/Check",
        ] {
            assert_eq!(public(path), None, "{path}");
        }
        let metrics = (None, Pool::Control, false, false);
        assert_eq!(of("/tollgate.v1.MetricsService/ResetMetrics"), metrics);
    }
}
