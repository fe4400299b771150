//! Disables the SDK interceptors whose work is not needed. The engines in this process ignore the user agent and the ids and
//! counts of attempts, and have the same clock. AWS needs none of them either, except that a wrong clock is corrected by
//! its responses; the user agent is a constant there. This saves a tenth of a request's CPU time.

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, disable_interceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use aws_types::app_name::AppName;
use http::HeaderValue;

/// The reason in the SDK's log.
const CAUSE: &str = "not needed";
/// This program in requests to AWS.
const USER_AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));

/// Disables those interceptors for every request.
#[derive(Debug)]
pub(super) struct LeanSdk {
    disabled: FrozenLayer,
    user_agent: Option<HeaderValue>,
}

impl LeanSdk {
    /// For the engines in this process.
    pub(super) fn in_process() -> LeanSdk {
        let mut layer = disabled();
        layer.store_put(disable_interceptor::<ServiceClockSkewInterceptor>(CAUSE));
        LeanSdk {
            disabled: layer.freeze(),
            user_agent: None,
        }
    }

    /// For AWS and what speaks its protocols. The name of the application, if there is one, is part of the user agent.
    pub(super) fn over_network(app_name: Option<&AppName>) -> LeanSdk {
        let named = app_name.map(|name| format!("{USER_AGENT} app/{name}"));
        let named = named.and_then(|named| HeaderValue::try_from(named).ok());
        LeanSdk {
            disabled: disabled().freeze(),
            user_agent: Some(named.unwrap_or(HeaderValue::from_static(USER_AGENT))),
        }
    }
}

/// Without what neither needs.
fn disabled() -> Layer {
    let mut layer = Layer::new("tollgate::aws::LeanSdk");
    layer
        .store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE))
        .store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE))
        .store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE));
    layer
}

#[dyn_dispatch_hint]
impl Intercept for LeanSdk {
    fn name(&self) -> &'static str {
        "tollgate::aws::LeanSdk"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.push_shared_layer(self.disabled.clone());
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(user_agent) = &self.user_agent {
            let headers = context.request_mut().headers_mut();
            headers.insert("user-agent", user_agent.clone());
        }
        Ok(())
    }
}
