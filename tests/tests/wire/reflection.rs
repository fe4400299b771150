//! Server reflection: an invalid request gets an error, and the stream continues.

use bytes::Bytes;
use prost::Message as _;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::raw::exchange;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ExtensionRequest, ServerReflectionRequest, ServerReflectionResponse};

const VERSIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

fn request(message_request: impl Into<Option<MessageRequest>>) -> Bytes {
    let request = ServerReflectionRequest {
        host: "here".to_owned(),
        message_request: message_request.into(),
    };
    request.encode_to_vec().into()
}

fn symbol(name: &str) -> Bytes {
    request(MessageRequest::FileContainingSymbol(name.to_owned()))
}

async fn responses(
    gateway: &Gateway,
    path: &'static str,
    requests: &[Bytes],
) -> Vec<ServerReflectionResponse> {
    let received = exchange(gateway, path, requests.to_vec()).await;
    let received = received.unwrap_or_else(|status| panic!("the stream ends with {status:?}"));
    assert_eq!(received.len(), requests.len(), "a response each");
    let decoded = received.into_iter().map(ServerReflectionResponse::decode);
    decoded.map(|response| response.expect("a response")).collect()
}

#[tokio::test]
async fn an_error_is_a_response_and_the_stream_goes_on() {
    let extension = ExtensionRequest {
        containing_type: "tollgate.v1.GetRequest".to_owned(),
        extension_number: 100,
    };
    let wrong = [
        (symbol("tollgate.v1.Nothing"), Code::NotFound),
        (symbol(""), Code::NotFound),
        (symbol(&"x".repeat(100_000)), Code::NotFound),
        (
            request(MessageRequest::FileByFilename("../../etc/passwd".to_owned())),
            Code::NotFound,
        ),
        (
            request(MessageRequest::FileContainingExtension(extension)),
            Code::NotFound,
        ),
        (
            request(MessageRequest::AllExtensionNumbersOfType("a.B".to_owned())),
            Code::NotFound,
        ),
        (request(None), Code::InvalidArgument),
        (Bytes::new(), Code::InvalidArgument),
        // not a message, cut short, and not UTF-8
        (Bytes::from_static(b"\xff\xff\xff"), Code::InvalidArgument),
        (Bytes::from_static(b"\x22\x05ab"), Code::InvalidArgument),
        (Bytes::from_static(b"\x22\x02\xff\xfe"), Code::InvalidArgument),
    ];
    let gateway = Gateway::start().await;
    for path in VERSIONS {
        let mut requests = Vec::new();
        for (request, _) in &wrong {
            requests.extend([request.clone(), symbol("tollgate.v1.DataService")]);
        }
        let responses = responses(&gateway, path, &requests).await;
        for (pair, (request, code)) in responses.chunks_exact(2).zip(&wrong) {
            let Some(MessageResponse::ErrorResponse(error)) = &pair[0].message_response else {
                panic!("{request:?}: {:?}", pair[0])
            };
            assert_eq!(Code::from(error.error_code), *code, "{request:?}");
            assert!(!error.error_message.is_empty());
            assert!(matches!(
                pair[1].message_response,
                Some(MessageResponse::FileDescriptorResponse(_))
            ));
        }
    }
}

#[tokio::test]
async fn services_files_and_symbols_are_described() {
    let gateway = Gateway::start().await;
    for path in VERSIONS {
        let requests = [
            request(MessageRequest::ListServices(String::new())),
            request(MessageRequest::FileByFilename(
                "tollgate/v1/data_service.proto".to_owned(),
            )),
            symbol("tollgate.v1.DataService.Get"),
            symbol("grpc.health.v1.Health"),
            symbol("google.rpc.ErrorInfo"),
            request(MessageRequest::AllExtensionNumbersOfType(
                "tollgate.v1.GetRequest".to_owned(),
            )),
        ];
        let responses = responses(&gateway, path, &requests).await;
        assert_eq!(responses[0].valid_host, "here");
        let Some(MessageResponse::ListServicesResponse(listed)) = &responses[0].message_response else {
            panic!("{:?}", responses[0])
        };
        let listed: Vec<&str> = listed
            .service
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        assert_eq!(
            listed,
            [
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
                "tollgate.v1.AdminService",
                "tollgate.v1.DataService",
                "tollgate.v1.MetricsService",
                "tollgate.v1.SchemaService",
            ]
        );
        for response in &responses[1..5] {
            let Some(MessageResponse::FileDescriptorResponse(files)) = &response.message_response else {
                panic!("{response:?}")
            };
            // its first field is its name
            let file = &files.file_descriptor_proto[0];
            assert!(file.len() > 100 && file[0] == 0x0a, "{file:?}");
        }
        assert!(matches!(
            &responses[5].message_response,
            Some(MessageResponse::AllExtensionNumbersResponse(none)) if none.extension_number.is_empty()
        ));
    }
}
