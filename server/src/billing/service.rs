//! The services that cost something, and what one attempt of one of their operations counts as and costs.

use super::{Bill, Prices};

/// An AWS service whose calls are billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon DynamoDB: counted by operation, paid by capacity.
    DynamoDb,
    /// AWS KMS: `GenerateDataKey` and `Decrypt` are counted and paid.
    Kms,
    /// Amazon S3: every call is counted, paid by request class.
    S3,
}

impl Service {
    /// Where the time of this service's calls is added up.
    pub(super) fn duration_us(self, bill: &mut Bill) -> &mut u64 {
        match self {
            Service::DynamoDb => &mut bill.dynamodb_us,
            Service::Kms => &mut bill.kms_us,
            Service::S3 => &mut bill.s3_us,
        }
    }
}

/// What one attempt adds to a bill the moment it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    service: Service,
    counted: bool,
    kind: Option<fn(&mut Bill) -> &mut u64>,
    picodollars: u64,
}

impl Charge {
    /// The charge of an operation by AWS's name for it, such as `PutItem`.
    pub(super) fn of(service: Service, operation: &str, prices: &Prices) -> Charge {
        match service {
            Service::DynamoDb => Charge {
                service,
                counted: true,
                kind: kind(operation),
                picodollars: 0,
            },
            Service::Kms if matches!(operation, "GenerateDataKey" | "Decrypt") => Charge {
                service,
                counted: true,
                kind: None,
                picodollars: prices.kms_request(),
            },
            Service::Kms => Charge {
                service,
                counted: false,
                kind: None,
                picodollars: 0,
            },
            Service::S3 => Charge {
                service,
                counted: true,
                kind: None,
                picodollars: s3_price(operation, prices),
            },
        }
    }

    /// Whether the bill shows such calls at all.
    pub(super) fn counted(&self) -> bool {
        self.counted
    }

    pub(super) fn add(&self, bill: &mut Bill) {
        self.apply(bill, u64::wrapping_add);
    }

    pub(super) fn take_back(&self, bill: &mut Bill) {
        self.apply(bill, u64::wrapping_sub);
    }

    fn apply(&self, bill: &mut Bill, change: fn(u64, u64) -> u64) {
        if !self.counted {
            return;
        }
        let (calls, picodollars) = match self.service {
            Service::DynamoDb => (&mut bill.dynamodb_calls, &mut bill.dynamodb_picodollars),
            Service::Kms => (&mut bill.kms_calls, &mut bill.kms_picodollars),
            Service::S3 => (&mut bill.s3_calls, &mut bill.s3_picodollars),
        };
        *calls = change(*calls, 1);
        *picodollars = change(*picodollars, self.picodollars);
        if let Some(kind) = self.kind {
            let count = kind(bill);
            *count = change(*count, 1);
        }
    }
}

fn kind(operation: &str) -> Option<fn(&mut Bill) -> &mut u64> {
    Some(match operation {
        "GetItem" => |bill| &mut bill.get_count,
        "PutItem" => |bill| &mut bill.put_count,
        "UpdateItem" => |bill| &mut bill.update_count,
        "DeleteItem" => |bill| &mut bill.delete_count,
        "Query" => |bill| &mut bill.query_count,
        "Scan" => |bill| &mut bill.scan_count,
        "BatchGetItem" => |bill| &mut bill.batch_get_count,
        "BatchWriteItem" => |bill| &mut bill.batch_write_count,
        "TransactGetItems" => |bill| &mut bill.transact_get_count,
        "TransactWriteItems" => |bill| &mut bill.transact_write_count,
        _ => return None, // table operations are free, and are no operation on items
    })
}

/// The request classes of <https://aws.amazon.com/s3/pricing/>: PUT, COPY, POST and LIST; DELETE and CANCEL, which are
/// free; GET and all others.
fn s3_price(operation: &str, prices: &Prices) -> u64 {
    match operation {
        "DeleteObject" | "DeleteObjects" | "AbortMultipartUpload" => 0,
        "PutObject"
        | "CopyObject"
        | "PostObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => prices.s3_put_request(),
        listing if listing.starts_with("List") => prices.s3_put_request(),
        _ => prices.s3_get_request(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(service: Service, operation: &str) -> Bill {
        let mut bill = Bill::default();
        let charge = Charge::of(service, operation, &Prices::shipped());
        charge.add(&mut bill);
        let mut rest = bill.clone();
        charge.take_back(&mut rest);
        assert_eq!(rest, Bill::default(), "{operation} is taken back whole");
        bill
    }

    #[test]
    fn dynamodb_counts_by_kind_and_costs_nothing_per_call() {
        let bill = charged(Service::DynamoDb, "PutItem");
        assert_eq!(
            bill,
            Bill {
                dynamodb_calls: 1,
                put_count: 1,
                ..Bill::default()
            }
        );
        assert_eq!(
            charged(Service::DynamoDb, "DescribeTable"),
            Bill {
                dynamodb_calls: 1,
                ..Bill::default()
            }
        );
    }

    #[test]
    fn kms_counts_the_two_calls_that_items_need() {
        for operation in ["GenerateDataKey", "Decrypt"] {
            let bill = charged(Service::Kms, operation);
            assert_eq!(
                bill,
                Bill {
                    kms_calls: 1,
                    kms_picodollars: 3_000_000,
                    ..Bill::default()
                }
            );
        }
        assert_eq!(charged(Service::Kms, "DescribeKey"), Bill::default());
    }

    #[test]
    fn s3_is_paid_by_request_class() {
        let cost = |operation| charged(Service::S3, operation).s3_picodollars;
        assert_eq!(
            ["PutObject", "UploadPart", "ListObjectsV2"].map(cost),
            [5_000_000; 3]
        );
        assert_eq!(["GetObject", "HeadObject"].map(cost), [400_000; 2]);
        assert_eq!(["DeleteObject", "AbortMultipartUpload"].map(cost), [0; 2]);
        assert_eq!(charged(Service::S3, "DeleteObject").s3_calls, 1);
    }
}
