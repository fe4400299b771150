//! Callers that disconnect while their request is arriving are cancelled, like those that disconnect later. A complete but
//! malformed message is an invalid argument.

use tollgate_proto::v1;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::polling::eventually;
use tollgate_tests::raw::HalfSent;
use tonic::Code;

async fn bill_of(gateway: &Gateway, request_id: &str) -> v1::GetCallMetricsResponse {
    eventually(async || {
        let request_id = request_id.to_owned();
        let asked = v1::GetCallMetricsRequest { request_id };
        let response = gateway.metrics().get_call_metrics(asked).await;
        response
            .map(tonic::Response::into_inner)
            .map_err(|status| status.to_string())
    })
    .await
}

/// The code that the call ended with; whether it counts as failed, and as cancelled.
async fn ending(gateway: &Gateway, request_id: &str) -> (Code, u64, u64) {
    let bill = bill_of(gateway, request_id).await;
    let metrics = bill.metrics.unwrap_or_default();
    let code = i32::try_from(bill.code).expect("a code");
    (
        Code::from(code),
        metrics.failed_call_count,
        metrics.cancelled_call_count,
    )
}

#[tokio::test]
async fn a_request_cancelled_while_arriving_is_cancelled() {
    let gateway = Gateway::start().await;
    let mut call = HalfSent::save(&gateway, "half").await;
    call.cancel().await;
    assert_eq!(ending(&gateway, "half").await, (Code::Cancelled, 0, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_whose_connection_closes_while_arriving_is_cancelled() {
    let gateway = Gateway::start().await;
    let call = HalfSent::save(&gateway, "half").await;
    drop(call);
    assert_eq!(ending(&gateway, "half").await, (Code::Cancelled, 0, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_truncated_message_is_an_invalid_argument() {
    let gateway = Gateway::start().await;
    let mut call = HalfSent::save(&gateway, "half").await;
    call.end().await;
    assert_eq!(ending(&gateway, "half").await, (Code::InvalidArgument, 1, 0));
    drop(call);
    gateway.stop().await;
}
