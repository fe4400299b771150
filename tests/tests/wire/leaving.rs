//! Callers that leave while their request is still arriving: cancelled, as those that leave later. A message that is
//! broken, and all there, is their fault.

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
async fn a_caller_that_cancels_its_request_midway_is_cancelled() {
    let gateway = Gateway::start().await;
    let mut call = HalfSent::save(&gateway, "half").await;
    call.cancel().await;
    assert_eq!(ending(&gateway, "half").await, (Code::Cancelled, 0, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_caller_whose_connection_goes_midway_is_cancelled() {
    let gateway = Gateway::start().await;
    let call = HalfSent::save(&gateway, "half").await;
    drop(call);
    assert_eq!(ending(&gateway, "half").await, (Code::Cancelled, 0, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn half_a_message_that_is_all_there_is_the_callers_fault() {
    let gateway = Gateway::start().await;
    let mut call = HalfSent::save(&gateway, "half").await;
    call.end().await;
    assert_eq!(ending(&gateway, "half").await, (Code::InvalidArgument, 1, 0));
    drop(call);
    gateway.stop().await;
}
