//! What the bill costs: every trailer and a session, beside no trailers and no session. The bill itself is counted
//! on both sides; nothing turns that off.

use super::Plan;
use super::load::Caller;
use super::pair::{Side, beside};

/// CPU per call with, of that without.
const GOAL: f64 = 1.03;

pub(crate) async fn measure(plan: &Plan) {
    let on = Side {
        program: &plan.program,
        settings: &[],
        caller: Caller {
            session: Some("bench"),
            ..Caller::default()
        },
    };
    let off = Side {
        program: &plan.program,
        settings: &[("TOLLGATE_TRAILERS", "none")],
        caller: Caller::default(),
    };
    beside(plan, &on, &off)
        .await
        .print("All trailers and a session, on beside off", ["on", "off"], GOAL);
}
