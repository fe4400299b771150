//! What telling others costs: all three signals and the side port, beside none of them; and the program with nothing
//! set beside one that is built without telemetry.

use tollgate_tests::collector::{Behavior, Collector, Counted};

use super::Plan;
use super::load::Caller;
use super::pair::{Side, beside};

/// CPU per call with everything exported, of that with everything off.
const EXPORTED_GOAL: f64 = 1.08;
/// CPU per call with nothing set, of that of a build without telemetry.
const UNSET_GOAL: f64 = 1.01;
/// Of the calls, how many are traced.
const SAMPLED: &str = "0.1";

pub(crate) async fn measure(plan: &Plan) {
    exported(plan).await;
    unset(plan).await;
}

async fn exported(plan: &Plan) {
    let own = Collector::grpc().await;
    own.set_behavior(Behavior::Counts);
    let endpoint = plan.collector.clone().unwrap_or_else(|| own.endpoint());
    let on = Side {
        program: &plan.program,
        settings: &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", SAMPLED),
            // often enough for a turn to have its share
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
            ("TOLLGATE_METRICS__LISTEN", "127.0.0.1:0"),
        ],
        caller: Caller::default(),
    };
    let off = Side {
        program: &plan.program,
        settings: &[("TOLLGATE_METRICS__LISTEN", "off")],
        caller: Caller::default(),
    };
    let measured = beside(plan, &on, &off).await;
    measured.print(
        "Everything exported to a live collector, 10 % of the calls traced, beside everything off",
        ["exported", "off"],
        EXPORTED_GOAL,
    );
    match plan.collector {
        Some(_) => println!("\nWhat came is in the collector's own log: {endpoint}"),
        None => tell(&own.counted(), measured.calls()),
    }
}

/// What the collector took: without it, the figures would be those of a full queue.
fn tell(came: &Counted, calls: f64) {
    let per_call = |count: u64| count as f64 / calls;
    println!(
        "\nThe collector took {} log records, {} spans and {} metrics: {:.2} records and {:.2} spans for each of \
         the {calls} calls of the turns, those of the warm-up included.",
        came.logs,
        came.spans,
        came.metrics,
        per_call(came.logs),
        per_call(came.spans),
    );
}

async fn unset(plan: &Plan) {
    let with = Side {
        program: &plan.program,
        settings: &[],
        caller: Caller::default(),
    };
    let without = Side {
        program: &plan.bare_program,
        settings: &[],
        caller: Caller::default(),
    };
    beside(plan, &with, &without).await.print(
        "Nothing set, beside a build without telemetry",
        ["nothing set", "built without"],
        UNSET_GOAL,
    );
}
