//! The lines of the audit log: when a call may begin, and what was decided.

use std::sync::Arc;

use tonic::Code;

use super::refusal::{self, Refusal};
use crate::audit::{Audit, Decision, Ended, Record};
use crate::call::Call;
use crate::caller::Caller;
use crate::telemetry::names;

/// What precedes the service and method in a path.
const PACKAGE: &str = "/tollgate.v1.";
/// The name of an RPC that does not exist.
const UNKNOWN: &str = "Unknown";
/// The longest name of an RPC.
const MAX_RPC_BYTES: usize = 64;

/// Begins the record of a call; `None`: calls are not audited.
pub(super) fn begin(audit: Option<&Audit>) -> Result<Option<Arc<Record>>, Refusal> {
    let record = audit.map(Audit::begin).transpose();
    record.map_err(refusal::not_audited)
}

/// Writes the line of a call that is billed.
pub(super) fn end(call: &Call, code: Code) {
    let Some(record) = call.audit() else { return };
    record.end(&Ended {
        caller: call.caller(),
        rpc: call.rpc().name(),
        model: call.model(),
        request_id: call.request_id(),
        decision: decision(code),
        code: names::status(code),
    });
}

/// What was decided about a call that ended with this code.
fn decision(code: Code) -> Decision {
    if code == Code::Unauthenticated {
        Decision::Unauthenticated
    } else if code == Code::PermissionDenied {
        Decision::Deny
    } else {
        Decision::Allow
    }
}

/// A call that is not billed, until its line is written: as cancelled, unless it ended otherwise.
#[derive(Debug)]
pub(super) struct Audited {
    record: Option<Arc<Record>>,
    caller: Option<Arc<Caller>>,
    rpc: String,
    request_id: String,
    code: Code,
}

impl Audited {
    /// Begins the record of a call, unless its service is one that is not audited.
    pub(super) fn begin(
        audit: Option<&Audit>,
        path: &str,
        caller: Option<Arc<Caller>>,
        request_id: &str,
    ) -> Result<Audited, Refusal> {
        Ok(Audited {
            record: begin(audit)?,
            caller,
            rpc: rpc(path).to_owned(),
            request_id: request_id.to_owned(),
            code: Code::Cancelled,
        })
    }

    /// Sets how the call ends, and writes its line.
    pub(super) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            record.end(&Ended {
                caller: self.caller.as_ref(),
                rpc: &self.rpc,
                model: None,
                request_id: &self.request_id,
                decision: decision(self.code),
                code: names::status(self.code),
            });
        }
    }
}

/// The name of an RPC, from a path that the caller chose.
fn rpc(path: &str) -> &str {
    let method = path.strip_prefix(PACKAGE).and_then(|path| path.split_once('/'));
    let is_name = |name: &&str| {
        (1..=MAX_RPC_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    method.map(|(_, name)| name).filter(is_name).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_caller_is_a_short_name() {
        assert_eq!(
            rpc("/tollgate.v1.MetricsService/GetTotalMetrics"),
            "GetTotalMetrics"
        );
        let long = format!("/tollgate.v1.X/{}", "y".repeat(65));
        for other in ["", "/", "/x.Y/Z", "/tollgate.v1.X/a b", "/tollgate.v1.X/", &long] {
            assert_eq!(rpc(other), UNKNOWN, "{other}");
        }
    }
}
