//! The RPCs of DataService, which all figures are counted by. Never reads a path or a header.

use std::fmt;

/// The model of calls that named no served model.
pub const NO_MODEL: &str = "_";

/// The kinds of gRPC methods (<https://grpc.io/docs/what-is-grpc/core-concepts/#rpc-life-cycle>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, a stream of responses.
    ServerStreaming,
    /// A stream of requests, one response.
    ClientStreaming,
    /// A stream of requests and a stream of responses.
    BidirectionalStreaming,
}

macro_rules! rpcs {
    ($($(#[$doc:meta])* $rpc:ident: $kind:ident,)*) => {
        /// An RPC of DataService; ordered by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rpc {
            $($(#[$doc])* $rpc,)*
            /// Any method of DataService that is not in this version.
            Unknown,
        }

        impl Rpc {
            /// All RPCs of this version, ordered by name.
            pub const ALL: [Rpc; [$(stringify!($rpc)),*].len()] = [$(Rpc::$rpc),*];

            /// The name in totals, logs and call metrics: `Get`, or `_` for an unknown RPC.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Rpc::$rpc => stringify!($rpc),)*
                    Rpc::Unknown => "_",
                }
            }

            /// The full gRPC name: `tollgate.v1.DataService/Get`; `None` for an unknown RPC.
            pub const fn full_name(self) -> Option<&'static str> {
                match self {
                    $(Rpc::$rpc => Some(concat!("tollgate.v1.DataService/", stringify!($rpc))),)*
                    Rpc::Unknown => None,
                }
            }

            /// What the contract declares; unary for an unknown RPC.
            pub const fn kind(self) -> MethodKind {
                match self {
                    $(Rpc::$rpc => MethodKind::$kind,)*
                    Rpc::Unknown => MethodKind::Unary,
                }
            }
        }
    };
}

rpcs! {
    /// Reads items by their keys.
    BatchGet: ServerStreaming,
    /// Writes items, each for itself.
    BatchWrite: BidirectionalStreaming,
    /// Removes an item.
    Delete: Unary,
    /// Reads the content of an object.
    Download: ServerStreaming,
    /// Reads an item.
    Get: Unary,
    /// Signs a URL of an object.
    Presign: Unary,
    /// Reads items of one partition.
    Query: ServerStreaming,
    /// Writes an item.
    Save: Unary,
    /// Reads items of a whole table or index.
    Scan: ServerStreaming,
    /// Reads items as they are at one moment.
    TransactGet: Unary,
    /// Writes items together, or none.
    TransactWrite: Unary,
    /// Changes attributes of an item.
    Update: Unary,
    /// Writes an item with contents that arrive in chunks.
    Upload: ClientStreaming,
    // add-an-rpc: its name and kind, in alphabetical order
}

impl Rpc {
    /// The RPC with this method name (`Get`).
    pub fn from_method(method: &str) -> Rpc {
        let known = Rpc::ALL.into_iter().find(|rpc| rpc.name() == method);
        known.unwrap_or(Rpc::Unknown)
    }

    /// Whether it streams the content of objects. Without a deadline of the caller, it may take as long as any stream.
    pub const fn streams_content(self) -> bool {
        matches!(self, Rpc::Download | Rpc::Upload)
    }
}

impl fmt::Display for Rpc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl MethodKind {
    /// Whether the client sends more than one message.
    pub const fn streams_requests(self) -> bool {
        match self {
            MethodKind::ClientStreaming | MethodKind::BidirectionalStreaming => true,
            MethodKind::Unary | MethodKind::ServerStreaming => false,
        }
    }

    /// Whether either side sends more than one message.
    pub const fn streams(self) -> bool {
        !matches!(self, MethodKind::Unary)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::{FileDescriptorSet, MethodDescriptorProto};

    use super::*;

    fn declared_kind(method: &MethodDescriptorProto) -> MethodKind {
        match (method.client_streaming(), method.server_streaming()) {
            (false, false) => MethodKind::Unary,
            (false, true) => MethodKind::ServerStreaming,
            (true, false) => MethodKind::ClientStreaming,
            (true, true) => MethodKind::BidirectionalStreaming,
        }
    }

    #[test]
    fn rpcs_match_the_contract() {
        let files = FileDescriptorSet::decode(tollgate_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut services = files.file.iter().flat_map(|file| &file.service);
        let data = services.find(|service| service.name() == "DataService").unwrap();
        let mut declared: Vec<(&str, MethodKind)> = data
            .method
            .iter()
            .map(|method| (method.name(), declared_kind(method)))
            .collect();
        declared.sort_unstable_by_key(|(name, _)| *name);
        assert_eq!(declared, Rpc::ALL.map(|rpc| (rpc.name(), rpc.kind())));
    }

    #[test]
    fn names_are_parsed_back() {
        for rpc in Rpc::ALL {
            assert_eq!(Rpc::from_method(rpc.name()), rpc);
            let full_name = format!("tollgate.v1.DataService/{rpc}");
            assert_eq!(rpc.full_name(), Some(full_name.as_str()));
        }
        assert_eq!(Rpc::from_method("Nope"), Rpc::Unknown);
        assert_eq!(Rpc::from_method("_"), Rpc::Unknown);
        assert_eq!(Rpc::Unknown.full_name(), None);
    }
}
