//! Compiles the proto files without protoc.

use std::path::PathBuf;

use prost::Message as _;

const PROTOS: [&str; 5] = [
    "tollgate/v1/value.proto",
    "tollgate/v1/data_service.proto",
    "tollgate/v1/metrics_service.proto",
    "tollgate/v1/schema_service.proto",
    "tollgate/v1/admin_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=tollgate");
    println!("cargo:rerun-if-changed=google");
    let descriptors = protox::compile(PROTOS, ["."])?;
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out_dir.join("tollgate.v1.binpb"), descriptors.encode_to_vec())?;
    let mut config = tonic_prost_build::Config::new();
    // the codec looks up the fields to count by the name of the message
    config.enable_type_names();
    tonic_prost_build::configure()
        .bytes(".tollgate.v1")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        // objects are rare, and would make every value as large as the largest one
        .boxed(".tollgate.v1.AttributeValue.kind.object")
        .codec_path("crate::codec::ContractCodec")
        .skip_debug([
            ".tollgate.v1.AttributeValue",
            ".tollgate.v1.AttributeValue.kind",
            ".tollgate.v1.DownloadResponse",
            ".tollgate.v1.Object",
            ".tollgate.v1.PresignResponse",
            ".tollgate.v1.ObjectChunk",
        ])
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
