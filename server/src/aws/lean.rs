//! What the SDK adds to every request for the sake of AWS and of the networks between, left out over the engines in this
//! process: nobody reads the user agent, the ids and counts of attempts, or corrects a clock that is the same. It is a
//! tenth of a request's CPU. Never used towards a network.

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, disable_interceptor};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};

/// For the SDK's own log.
const CAUSE: &str = "the engine is in this process";

/// Takes the SDK's own interceptors out of every request.
#[derive(Debug)]
pub(super) struct Lean(FrozenLayer);

impl Lean {
    pub(super) fn new() -> Lean {
        let mut layer = Layer::new("tollgate::aws::Lean");
        layer
            .store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE))
            .store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE))
            .store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE))
            .store_put(disable_interceptor::<ServiceClockSkewInterceptor>(CAUSE));
        Lean(layer.freeze())
    }
}

impl Intercept for Lean {
    fn name(&self) -> &'static str {
        "tollgate::aws::Lean"
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
