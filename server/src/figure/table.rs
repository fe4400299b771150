//! The table of figures: everything that is counted, and the name of each figure in every place where it is reported. The
//! bill, its sums, `OperationMetrics`, trailers, the ORCA report, span attributes, instruments and `docs/figures.md` all
//! follow from it.

use std::ops::{AddAssign, SubAssign};

use tollgate_proto::v1;

use super::metric::{MetricValue, metric_value};
use super::row::{Counter, Unit, optional};
use super::unit::dollars;

/// A figure of the bill, and its name in every place where it is reported.
#[derive(Debug)]
pub struct Figure {
    /// What is counted.
    pub description: &'static str,
    /// The unit that it is counted in.
    pub unit: Unit,
    /// Reads it from a bill.
    pub value: fn(&Bill) -> u64,
    /// The field of `OperationMetrics`; `cost.total` and so on for the fields of `Cost`.
    pub metric: Option<&'static str>,
    /// The trailer of a call.
    pub trailer: Option<&'static str>,
    /// The key in `request_cost` of the ORCA load report.
    pub orca: Option<&'static str>,
    /// The attribute of the server span.
    pub span: Option<&'static str>,
    /// The instrument.
    pub counter: Option<Counter>,
}

/// A counted figure is a field of the bill; a sum adds counted figures up. Both take these names, in this order:
///
/// - `metrics`: the field of `OperationMetrics`, or `cost`: the field of `Cost`
/// - `trailer`: the trailer of a call; sessions have `tollgate-session-…` too
/// - `orca`: the key in `request_cost` of the ORCA load report
/// - `span`: the attribute of the server span
/// - `counter`: the instrument
macro_rules! figures {
    (
        counted {$(
            $(#[doc = $doc:literal])+
            $field:ident: $unit:ident
            $(, metrics $metric:ident)? $(, cost $cost:ident)? $(, trailer $trailer:literal)?
            $(, orca $orca:literal)? $(, span $span:literal)? $(, counter $counter:expr)?;
        )*}
        sums {$(
            $(#[doc = $sum_doc:literal])+
            $sum:ident: $sum_unit:ident = $first:ident $(+ $more:ident)+
            $(, metrics $sum_metric:ident)? $(, cost $sum_cost:ident)? $(, trailer $sum_trailer:literal)?
            $(, orca $sum_orca:literal)? $(, span $sum_span:literal)? $(, counter $sum_counter:expr)?;
        )*}
    ) => {
        /// What one call cost, or the sum over many. Durations are microseconds, capacity is thousandths of a unit,
        /// cost is picodollars.
        ///
        /// Sums wrap: an attempt that is taken back after a reset cleared its call leaves a figure below zero until
        /// the next attempt is counted, so that what was cleared and what remains add up to what happened. Readers
        /// see such a figure as zero.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Bill {
            $($(#[doc = $doc])+ pub $field: u64,)*
        }

        impl AddAssign<&Bill> for Bill {
            fn add_assign(&mut self, other: &Bill) {
                $(self.$field = self.$field.wrapping_add(other.$field);)*
            }
        }

        impl SubAssign<&Bill> for Bill {
            fn sub_assign(&mut self, other: &Bill) {
                $(self.$field = self.$field.wrapping_sub(other.$field);)*
            }
        }

        /// The number of counted figures.
        pub const COUNTED: usize = [$(stringify!($field)),*].len();

        impl Bill {
            /// All counted figures in the order of the fields.
            pub fn counted(&self) -> [u64; COUNTED] {
                [$(self.$field),*]
            }

            /// Builds a bill from its counted figures, in the order of the fields.
            pub fn from_counted([$($field),*]: [u64; COUNTED]) -> Bill {
                Bill { $($field),* }
            }

            /// Raises every figure to at least the other's.
            pub fn raise_to(&mut self, other: &Bill) {
                $(self.$field = self.$field.max(other.$field);)*
            }

            /// The bill as readers see it: a figure below zero is zero.
            pub fn clamped(mut self) -> Bill {
                $(self.$field = clamp(self.$field);)*
                self
            }

            $(
                $(#[doc = $sum_doc])+
                pub fn $sum(&self) -> u64 {
                    self.$first$(.wrapping_add(self.$more))+
                }
            )*
        }

        impl From<Bill> for v1::OperationMetrics {
            fn from(bill: Bill) -> v1::OperationMetrics {
                let bill = bill.clamped();
                v1::OperationMetrics {
                    $($($metric: metric_value!($unit, bill.$field),)?)*
                    $($($sum_metric: metric_value!($sum_unit, bill.$sum()),)?)*
                    cost: Some(v1::Cost {
                        $($($cost: dollars(bill.$field),)?)*
                        $($($sum_cost: dollars(bill.$sum()),)?)*
                    }),
                }
            }
        }

        /// Every field of `OperationMetrics` by its name; the costs as `cost.total` and so on.
        pub fn metric_values(metrics: &v1::OperationMetrics) -> Vec<(&'static str, MetricValue)> {
            let cost = metrics.cost.unwrap_or_default();
            vec![
                $($((stringify!($metric), MetricValue::from(metrics.$metric)),)?)*
                $($((stringify!($sum_metric), MetricValue::from(metrics.$sum_metric)),)?)*
                $($((concat!("cost.", stringify!($cost)), MetricValue::from(cost.$cost)),)?)*
                $($((concat!("cost.", stringify!($sum_cost)), MetricValue::from(cost.$sum_cost)),)?)*
            ]
        }

        /// All figures: the counted ones, then the sums.
        pub static FIGURES: &[Figure] = &[
            $(Figure {
                description: concat!($($doc),+),
                unit: Unit::$unit,
                value: |bill| bill.$field,
                metric: optional!($(stringify!($metric))? $(concat!("cost.", stringify!($cost)))?),
                trailer: optional!($($trailer)?),
                orca: optional!($($orca)?),
                span: optional!($($span)?),
                counter: optional!($($counter)?),
            },)*
            $(Figure {
                description: concat!($($sum_doc),+),
                unit: Unit::$sum_unit,
                value: Bill::$sum,
                metric: optional!($(stringify!($sum_metric))? $(concat!("cost.", stringify!($sum_cost)))?),
                trailer: optional!($($sum_trailer)?),
                orca: optional!($($sum_orca)?),
                span: optional!($($sum_span)?),
                counter: optional!($($sum_counter)?),
            },)*
        ];
    };
}

// Instruments that several figures share, one label value each.
const CAPACITY: Counter = Counter::new(
    "tollgate.dynamodb.consumed_capacity",
    "{unit}",
    "Capacity units, including the computed ones of refused writes",
);
const COST: Counter = Counter::new("tollgate.cost", "USD", "Cost by the price book in the settings");
const FAILED_ITEMS: Counter = Counter::new(
    "tollgate.items.failed",
    "{item}",
    "Items of pages that were returned as an error",
);
const S3_IO: Counter = Counter::new("tollgate.s3.io", "By", "Bytes of object content");

figures! {
    counted {
        /// RPCs.
        calls: Count, metrics call_count;
        /// RPCs that ended with an error, except cancelled ones.
        failed_calls: Count, metrics failed_call_count;
        /// RPCs whose caller disconnected or whose deadline passed.
        cancelled_calls: Count, metrics cancelled_call_count;
        /// Wall time of RPCs.
        wall_us: Microseconds, trailer "tollgate-duration-ms";
        /// Wall time of RPCs during which no AWS request was in progress.
        gateway_us: Microseconds, metrics gateway_duration_ms, span "tollgate.gateway.time",
            counter Counter::new("tollgate.gateway.time", "s", "Wall time of calls without an AWS request in progress");
        /// DynamoDB requests, retries included.
        dynamodb_calls: Count, metrics operation_count, trailer "tollgate-dynamodb-calls", orca "dynamodb.calls",
            span "tollgate.dynamodb.calls";
        /// Time in DynamoDB requests; concurrent requests add up.
        dynamodb_us: Microseconds, metrics total_duration_ms, trailer "tollgate-dynamodb-duration-ms",
            orca "dynamodb.duration_ms", span "tollgate.dynamodb.duration";
        /// Read capacity that DynamoDB reported.
        read_milliunits: Milliunits, metrics total_rcu, trailer "tollgate-rcu", orca "dynamodb.rcu",
            span "tollgate.dynamodb.consumed_capacity.read", counter CAPACITY.labelled("tollgate.capacity", "read");
        /// Write capacity that DynamoDB reported.
        write_milliunits: Milliunits, metrics total_wcu;
        /// Write capacity that DynamoDB consumed but did not report (failed conditions), by the size of the item.
        estimated_write_milliunits: Milliunits, metrics estimated_wcu;
        /// GetItem requests.
        get_count: Count, metrics get_count;
        /// PutItem requests.
        put_count: Count, metrics put_count;
        /// UpdateItem requests.
        update_count: Count, metrics update_count;
        /// DeleteItem requests.
        delete_count: Count, metrics delete_count;
        /// Query requests.
        query_count: Count, metrics query_count;
        /// Scan requests.
        scan_count: Count, metrics scan_count;
        /// BatchGetItem requests.
        batch_get_count: Count, metrics batch_get_count;
        /// BatchWriteItem requests.
        batch_write_count: Count, metrics batch_write_count;
        /// TransactGetItems requests.
        transact_get_count: Count, metrics transact_get_count;
        /// TransactWriteItems requests.
        transact_write_count: Count, metrics transact_write_count;
        /// Items returned by DynamoDB.
        items: Count, metrics items_count, trailer "tollgate-items", span "tollgate.items";
        /// Items evaluated by Query and Scan.
        scanned: Count, metrics scanned_count;
        /// Items of Query and Scan that were returned as DATA_LOSS: they failed authentication.
        items_lost: Count, span "tollgate.items.failed.data_loss", counter FAILED_ITEMS.labelled("status", "DATA_LOSS");
        /// Items of Query and Scan that were returned as another error.
        items_unopened: Count, span "tollgate.items.failed.other", counter FAILED_ITEMS.labelled("status", "OTHER");
        /// GenerateDataKey and Decrypt requests, retries included.
        kms_calls: Count, metrics kms_calls, trailer "tollgate-kms-calls", orca "kms.calls", span "tollgate.kms.calls",
            counter Counter::new("tollgate.kms.calls", "{call}", "Requests to KMS, retries included");
        /// Time in KMS requests.
        kms_us: Microseconds, metrics kms_duration_ms, trailer "tollgate-kms-duration-ms", orca "kms.duration_ms",
            span "tollgate.kms.duration";
        /// KMS requests that the cache of data keys saved.
        kms_cache_hits: Count, metrics kms_cache_hits, trailer "tollgate-kms-cache-hits", span "tollgate.kms.cache.hits",
            counter Counter::new("tollgate.kms.cache.hits", "{call}", "Requests to KMS that a cache saved");
        /// S3 requests, retries included; deletes and each part of a multipart upload count.
        s3_calls: Count, metrics s3_calls, trailer "tollgate-s3-calls", orca "s3.calls", span "tollgate.s3.calls",
            counter Counter::new("tollgate.s3.calls", "{call}", "Requests to S3, retries included");
        /// Time in S3 requests.
        s3_us: Microseconds, metrics s3_duration_ms, trailer "tollgate-s3-duration-ms", orca "s3.duration_ms",
            span "tollgate.s3.duration";
        /// Bytes of object content sent to S3.
        uploaded_bytes: Bytes, metrics s3_bytes_uploaded, trailer "tollgate-s3-bytes-uploaded",
            orca "s3.bytes_uploaded", span "tollgate.s3.io.upload", counter S3_IO.labelled("direction", "upload");
        /// Bytes of object content received from S3.
        downloaded_bytes: Bytes, metrics s3_bytes_downloaded, trailer "tollgate-s3-bytes-downloaded",
            orca "s3.bytes_downloaded", span "tollgate.s3.io.download", counter S3_IO.labelled("direction", "download");
        /// Attempts after the first, of any AWS request.
        retries: Count, metrics retries, trailer "tollgate-retries", span "tollgate.retries",
            counter Counter::new("tollgate.retries", "{attempt}", "Attempts after the first of one request to AWS");
        /// Attempts that AWS throttled.
        throttled: Count, metrics throttled_count,
            counter Counter::new("tollgate.throttled", "{attempt}", "Attempts that AWS throttled");
        /// Time spent waiting between attempts.
        backoff_us: Microseconds, metrics backoff_ms;
        /// Cost of DynamoDB capacity.
        dynamodb_picodollars: Picodollars, cost dynamodb, counter COST.labelled("service", "dynamodb");
        /// Cost of KMS requests.
        kms_picodollars: Picodollars, cost kms, counter COST.labelled("service", "kms");
        /// Cost of S3 requests.
        s3_picodollars: Picodollars, cost s3, counter COST.labelled("service", "s3");
        // add-a-figure: its unit and its names
    }
    sums {
        /// Write capacity, including the estimated part.
        all_write_milliunits: Milliunits = write_milliunits + estimated_write_milliunits, trailer "tollgate-wcu",
            orca "dynamodb.wcu", span "tollgate.dynamodb.consumed_capacity.write",
            counter CAPACITY.labelled("tollgate.capacity", "write");
        /// Items of Query and Scan that were returned as an error. The RPC itself succeeds.
        failed_items: Count = items_lost + items_unopened, metrics failed_items_count;
        /// Cost by the price book of the server.
        picodollars: Picodollars = dynamodb_picodollars + kms_picodollars + s3_picodollars, cost total,
            trailer "tollgate-cost-usd", span "tollgate.cost";
    }
}

fn clamp(figure: u64) -> u64 {
    if i64::try_from(figure).is_ok() { figure } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_apply_to_every_field() {
        let one = Bill {
            kms_calls: 3,
            s3_us: 7,
            wall_us: 11,
            ..Bill::default()
        };
        let mut sum = one.clone();
        sum += &one;
        assert_eq!(
            sum,
            Bill {
                kms_calls: 6,
                s3_us: 14,
                wall_us: 22,
                ..Bill::default()
            }
        );
        sum -= &one;
        assert_eq!(sum, one);
    }

    #[test]
    fn negative_figures_read_as_zero_and_still_add_up() {
        let mut bill = Bill::default();
        bill -= &Bill {
            dynamodb_calls: 1,
            ..Bill::default()
        };
        assert_eq!(v1::OperationMetrics::from(bill.clone()).operation_count, 0);
        bill += &Bill {
            dynamodb_calls: 3,
            ..Bill::default()
        };
        assert_eq!(bill.dynamodb_calls, 2);
    }

    #[test]
    fn metrics_use_the_units_of_the_contract() {
        let metrics = v1::OperationMetrics::from(Bill {
            dynamodb_us: 1_500,
            read_milliunits: 500,
            dynamodb_picodollars: 62_500,
            kms_picodollars: 3_000_000,
            items_lost: 2,
            items_unopened: 1,
            ..Bill::default()
        });
        assert_eq!(metrics.failed_items_count, 3);
        assert_eq!((metrics.total_duration_ms, metrics.total_rcu), (1.5, 0.5));
        let cost = metrics.cost.unwrap();
        assert_eq!(
            (cost.dynamodb, cost.kms, cost.s3, cost.total),
            (62_500e-12, 3e-6, 0.0, 3_062_500e-12)
        );
    }
}
