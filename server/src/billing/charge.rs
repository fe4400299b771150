//! What one attempt of an AWS operation counts as and costs.

use super::prices::Prices;
use crate::figure::{AwsOperation, Bill, Service};

/// The figure that sums the time of this service's requests.
pub(super) fn duration_us(service: Service, bill: &mut Bill) -> &mut u64 {
    match service {
        Service::DynamoDb => &mut bill.dynamodb_us,
        Service::Kms => &mut bill.kms_us,
        Service::S3 => &mut bill.s3_us,
    }
}

/// What one attempt adds to a bill the moment it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    service: Service,
    is_billed: bool,
    count: Option<fn(&mut Bill) -> &mut u64>,
    picodollars: u64,
}

impl Charge {
    /// The charge of one attempt of an operation.
    pub(super) fn for_operation(operation: AwsOperation, prices: &Prices) -> Charge {
        let service = operation.service();
        let (is_billed, picodollars) = match service {
            Service::DynamoDb => (true, 0),
            Service::Kms if is_billed_kms(operation) => (true, prices.kms_request()),
            Service::Kms => (false, 0),
            Service::S3 => (true, s3_price(operation, prices)),
        };
        Charge {
            service,
            is_billed,
            count: item_count(operation),
            picodollars,
        }
    }

    /// Whether the bill includes such requests at all.
    pub(super) fn is_billed(&self) -> bool {
        self.is_billed
    }

    pub(super) fn add(&self, bill: &mut Bill) {
        self.apply(bill, u64::wrapping_add);
    }

    pub(super) fn take_back(&self, bill: &mut Bill) {
        self.apply(bill, u64::wrapping_sub);
    }

    fn apply(&self, bill: &mut Bill, change: fn(u64, u64) -> u64) {
        if !self.is_billed {
            return;
        }
        let (calls, picodollars) = match self.service {
            Service::DynamoDb => (&mut bill.dynamodb_calls, &mut bill.dynamodb_picodollars),
            Service::Kms => (&mut bill.kms_calls, &mut bill.kms_picodollars),
            Service::S3 => (&mut bill.s3_calls, &mut bill.s3_picodollars),
        };
        *calls = change(*calls, 1);
        *picodollars = change(*picodollars, self.picodollars);
        if let Some(count) = self.count {
            let count = count(bill);
            *count = change(*count, 1);
        }
    }
}

/// The figure that counts this kind of DynamoDB operation; table operations are free and have none.
fn item_count(operation: AwsOperation) -> Option<fn(&mut Bill) -> &mut u64> {
    Some(match operation {
        AwsOperation::GetItem => |bill| &mut bill.get_count,
        AwsOperation::PutItem => |bill| &mut bill.put_count,
        AwsOperation::UpdateItem => |bill| &mut bill.update_count,
        AwsOperation::DeleteItem => |bill| &mut bill.delete_count,
        AwsOperation::Query => |bill| &mut bill.query_count,
        AwsOperation::Scan => |bill| &mut bill.scan_count,
        AwsOperation::BatchGetItem => |bill| &mut bill.batch_get_count,
        AwsOperation::BatchWriteItem => |bill| &mut bill.batch_write_count,
        AwsOperation::TransactGetItems => |bill| &mut bill.transact_get_count,
        AwsOperation::TransactWriteItems => |bill| &mut bill.transact_write_count,
        _ => return None, // the operations on tables, keys and objects
    })
}

/// The KMS operations that items need; looking up a key is not billed.
fn is_billed_kms(operation: AwsOperation) -> bool {
    matches!(operation, AwsOperation::GenerateDataKey | AwsOperation::Decrypt)
}

/// The request classes of <https://aws.amazon.com/s3/pricing/>: PUT, COPY, POST and LIST; DELETE and CANCEL, which are
/// free; GET and all others.
fn s3_price(operation: AwsOperation, prices: &Prices) -> u64 {
    match operation {
        AwsOperation::DeleteObject | AwsOperation::DeleteObjects | AwsOperation::AbortMultipartUpload => 0,
        AwsOperation::PutObject
        | AwsOperation::CopyObject
        | AwsOperation::CreateMultipartUpload
        | AwsOperation::UploadPart
        | AwsOperation::CompleteMultipartUpload
        | AwsOperation::ListMultipartUploads
        | AwsOperation::ListObjectsV2
        | AwsOperation::ListParts => prices.s3_put_request(),
        _ => prices.s3_get_request(), // GetObject, HeadObject, HeadBucket and operations that are not listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(operation: AwsOperation) -> Bill {
        let mut bill = Bill::default();
        let charge = Charge::for_operation(operation, &Prices::shipped());
        charge.add(&mut bill);
        let mut rest = bill.clone();
        charge.take_back(&mut rest);
        assert_eq!(rest, Bill::default(), "{operation} must be taken back completely");
        bill
    }

    #[test]
    fn dynamodb_is_counted_by_operation_and_not_billed_by_request() {
        let bill = charged(AwsOperation::PutItem);
        assert_eq!(
            bill,
            Bill {
                dynamodb_calls: 1,
                put_count: 1,
                ..Bill::default()
            }
        );
        assert_eq!(
            charged(AwsOperation::DescribeTable),
            Bill {
                dynamodb_calls: 1,
                ..Bill::default()
            }
        );
    }

    #[test]
    fn kms_bills_only_data_key_operations() {
        for operation in [AwsOperation::GenerateDataKey, AwsOperation::Decrypt] {
            let bill = charged(operation);
            assert_eq!(
                bill,
                Bill {
                    kms_calls: 1,
                    kms_picodollars: 3_000_000,
                    ..Bill::default()
                }
            );
        }
        assert_eq!(charged(AwsOperation::DescribeKey), Bill::default());
    }

    #[test]
    fn s3_is_billed_by_request_class() {
        let cost = |operation| charged(operation).s3_picodollars;
        assert_eq!(
            [
                AwsOperation::PutObject,
                AwsOperation::UploadPart,
                AwsOperation::ListObjectsV2
            ]
            .map(cost),
            [5_000_000; 3]
        );
        assert_eq!(
            [AwsOperation::GetObject, AwsOperation::HeadObject].map(cost),
            [400_000; 2]
        );
        assert_eq!(
            [AwsOperation::DeleteObject, AwsOperation::AbortMultipartUpload].map(cost),
            [0; 2]
        );
        assert_eq!(charged(AwsOperation::DeleteObject).s3_calls, 1);
    }
}
