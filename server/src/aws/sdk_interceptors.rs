//! Disables the SDK interceptors that only AWS and the network need, for the engines in this process: they ignore the
//! user agent and the ids and counts of attempts, and have the same clock. This saves a tenth of a request's CPU time.
//! Never used for requests over a network.

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, disable_interceptor};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};

/// The reason in the SDK's log.
const CAUSE: &str = "the engine is in this process";

/// Disables those interceptors for every request.
#[derive(Debug)]
pub(super) struct DisableSdkInterceptors(FrozenLayer);

impl DisableSdkInterceptors {
    pub(super) fn new() -> DisableSdkInterceptors {
        let mut layer = Layer::new("tollgate::aws::DisableSdkInterceptors");
        layer
            .store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE))
            .store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE))
            .store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE))
            .store_put(disable_interceptor::<ServiceClockSkewInterceptor>(CAUSE));
        DisableSdkInterceptors(layer.freeze())
    }
}

impl Intercept for DisableSdkInterceptors {
    fn name(&self) -> &'static str {
        "tollgate::aws::DisableSdkInterceptors"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.push_shared_layer(self.0.clone());
        Ok(())
    }
}
