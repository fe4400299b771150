//! The bill: integers only, so that sums over calls are exact. Never counts anything itself.

use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use tollgate_proto::v1;

use super::rpc::Rpc;
use super::unit::{dollars, thousandths};

macro_rules! bill {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// What one call cost, or the sum over many. Durations are microseconds, capacity is thousandths of a unit,
        /// cost is picodollars.
        ///
        /// Sums wrap: an attempt that is taken back after a reset cleared its call leaves a figure below zero until
        /// the next attempt is counted, so that what was cleared and what remains add up to what happened. Readers
        /// see such a figure as zero.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Bill {
            $($(#[$doc])* pub $field: u64,)*
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

        /// How many figures a bill has.
        pub const FIGURES: usize = [$(stringify!($field)),*].len();

        impl Bill {
            /// All figures in the order of the fields.
            pub fn figures(&self) -> [u64; FIGURES] {
                [$(self.$field),*]
            }

            /// Builds a bill from its figures, in the order of the fields.
            pub fn from_figures([$($field),*]: [u64; FIGURES]) -> Bill {
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
        }
    };
}

bill! {
    /// Time in DynamoDB calls; concurrent calls add up.
    dynamodb_us,
    /// DynamoDB API calls, retries included.
    dynamodb_calls,
    /// Read capacity that DynamoDB reported.
    read_milliunits,
    /// Write capacity that DynamoDB reported.
    write_milliunits,
    /// Write capacity that DynamoDB consumed and did not report.
    estimated_write_milliunits,
    /// GetItem calls.
    get_count,
    /// PutItem calls.
    put_count,
    /// UpdateItem calls.
    update_count,
    /// DeleteItem calls.
    delete_count,
    /// Query calls.
    query_count,
    /// Scan calls.
    scan_count,
    /// BatchGetItem calls.
    batch_get_count,
    /// BatchWriteItem calls.
    batch_write_count,
    /// TransactGetItems calls.
    transact_get_count,
    /// TransactWriteItems calls.
    transact_write_count,
    /// Items returned by DynamoDB.
    items,
    /// Items evaluated by Query and Scan.
    scanned,
    /// Items of pages that failed authentication: returned as DATA_LOSS.
    items_lost,
    /// Items of pages that could not be decrypted for another reason.
    items_unopened,
    /// Time in KMS calls.
    kms_us,
    /// GenerateDataKey and Decrypt calls, retries included.
    kms_calls,
    /// KMS calls that the data-key cache saved.
    kms_cache_hits,
    /// Time in S3 calls.
    s3_us,
    /// S3 API calls, retries included.
    s3_calls,
    /// Bytes of object content sent to S3.
    uploaded_bytes,
    /// Bytes of object content received from S3.
    downloaded_bytes,
    /// Attempts after the first.
    retries,
    /// Attempts that AWS throttled.
    throttled,
    /// Time spent waiting between attempts.
    backoff_us,
    /// RPCs.
    calls,
    /// RPCs that ended with an error, except cancelled ones.
    failed_calls,
    /// RPCs whose caller left or whose deadline passed.
    cancelled_calls,
    /// Wall time of RPCs.
    wall_us,
    /// Wall time of RPCs during which no AWS call was in progress.
    gateway_us,
    /// Cost of DynamoDB capacity.
    dynamodb_picodollars,
    /// Cost of KMS requests.
    kms_picodollars,
    /// Cost of S3 requests.
    s3_picodollars,
}

/// The sum of the bills of one model and RPC.
#[derive(Clone, Debug)]
pub struct ModelBill {
    /// A served model, or [`NO_MODEL`](super::NO_MODEL).
    pub model: Arc<str>,
    /// The RPC.
    pub rpc: Rpc,
    /// The sum.
    pub bill: Bill,
}

impl Bill {
    /// Cost of all services.
    pub fn picodollars(&self) -> u64 {
        self.dynamodb_picodollars
            .wrapping_add(self.kms_picodollars)
            .wrapping_add(self.s3_picodollars)
    }

    /// Write capacity, including the estimated part.
    pub fn all_write_milliunits(&self) -> u64 {
        self.write_milliunits
            .wrapping_add(self.estimated_write_milliunits)
    }
}

impl From<Bill> for v1::OperationMetrics {
    fn from(bill: Bill) -> v1::OperationMetrics {
        let bill = bill.clamped();
        v1::OperationMetrics {
            total_duration_ms: thousandths(bill.dynamodb_us),
            operation_count: bill.dynamodb_calls,
            total_rcu: thousandths(bill.read_milliunits),
            total_wcu: thousandths(bill.write_milliunits),
            estimated_wcu: thousandths(bill.estimated_write_milliunits),
            get_count: bill.get_count,
            put_count: bill.put_count,
            update_count: bill.update_count,
            delete_count: bill.delete_count,
            query_count: bill.query_count,
            scan_count: bill.scan_count,
            batch_get_count: bill.batch_get_count,
            batch_write_count: bill.batch_write_count,
            transact_get_count: bill.transact_get_count,
            transact_write_count: bill.transact_write_count,
            items_count: bill.items,
            scanned_count: bill.scanned,
            kms_duration_ms: thousandths(bill.kms_us),
            kms_calls: bill.kms_calls,
            kms_cache_hits: bill.kms_cache_hits,
            s3_duration_ms: thousandths(bill.s3_us),
            s3_calls: bill.s3_calls,
            s3_bytes_uploaded: bill.uploaded_bytes,
            s3_bytes_downloaded: bill.downloaded_bytes,
            retries: bill.retries,
            throttled_count: bill.throttled,
            backoff_ms: thousandths(bill.backoff_us),
            call_count: bill.calls,
            failed_call_count: bill.failed_calls,
            cancelled_call_count: bill.cancelled_calls,
            gateway_duration_ms: thousandths(bill.gateway_us),
            failed_items_count: bill.items_lost + bill.items_unopened,
            cost: Some(v1::Cost {
                dynamodb: dollars(bill.dynamodb_picodollars),
                kms: dollars(bill.kms_picodollars),
                s3: dollars(bill.s3_picodollars),
                total: dollars(bill.picodollars()),
            }),
        }
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
