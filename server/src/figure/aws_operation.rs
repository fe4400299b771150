//! The AWS services and operations that are counted and billed. Never calls them.

use std::fmt;

/// An AWS service whose requests are billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon DynamoDB: counted by operation, billed by capacity.
    DynamoDb,
    /// AWS KMS: `GenerateDataKey` and `Decrypt` are counted and billed.
    Kms,
    /// Amazon S3: every request is counted and billed by its request class.
    S3,
}

impl Service {
    /// The service's name, for messages and span names.
    pub const fn name(self) -> &'static str {
        match self {
            Service::DynamoDb => "DynamoDB",
            Service::Kms => "KMS",
            Service::S3 => "S3",
        }
    }
}

macro_rules! operations {
    ($($service:ident: $($operation:ident),*;)*) => {
        /// An operation of an AWS service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AwsOperation {
            $($(
                #[doc = concat!("[`", stringify!($operation), "`](Service::", stringify!($service), ")")]
                $operation,
            )*)*
            /// Any operation of this service that is not in the list.
            Other(Service),
        }

        impl AwsOperation {
            /// All operations with names.
            pub const ALL: &[AwsOperation] = &[$($(AwsOperation::$operation),*),*];

            /// AWS's name (`PutItem`); `_OTHER` for an operation that is not in the list, as OpenTelemetry has it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(AwsOperation::$operation => stringify!($operation),)*)*
                    AwsOperation::Other(_) => "_OTHER",
                }
            }

            /// The service that the operation belongs to.
            pub const fn service(self) -> Service {
                match self {
                    $($(AwsOperation::$operation => Service::$service,)*)*
                    AwsOperation::Other(service) => service,
                }
            }
        }
    };
}

operations! {
    DynamoDb:
        BatchGetItem, BatchWriteItem, DeleteItem, GetItem, PutItem, Query, Scan, TransactGetItems,
        TransactWriteItems, UpdateItem,
        CreateTable, DescribeContinuousBackups, DescribeTable, DescribeTimeToLive, UpdateContinuousBackups,
        UpdateTable, UpdateTimeToLive;
    Kms:
        Decrypt, GenerateDataKey,
        CreateAlias, CreateKey, DescribeKey;
    S3:
        AbortMultipartUpload, CompleteMultipartUpload, CopyObject, CreateMultipartUpload, DeleteObject,
        DeleteObjects, GetObject, HeadObject, ListMultipartUploads, ListObjectsV2, ListParts, PutObject,
        UploadPart,
        CreateBucket, GetBucketLifecycleConfiguration, GetPublicAccessBlock, HeadBucket,
        PutBucketLifecycleConfiguration, PutPublicAccessBlock;
}

impl AwsOperation {
    /// The operation of a service with AWS's name for it.
    pub fn from_name(service: Service, name: &str) -> AwsOperation {
        let mut known = AwsOperation::ALL.iter().copied();
        known
            .find(|operation| operation.service() == service && operation.name() == name)
            .unwrap_or(AwsOperation::Other(service))
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for AwsOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_back() {
        for &operation in AwsOperation::ALL {
            let parsed = AwsOperation::from_name(operation.service(), operation.name());
            assert_eq!(parsed, operation);
        }
    }

    #[test]
    fn unknown_operations_keep_their_service() {
        let other = AwsOperation::from_name(Service::Kms, "PutItem");
        assert_eq!(other, AwsOperation::Other(Service::Kms));
        assert_eq!((other.service(), other.name()), (Service::Kms, "_OTHER"));
    }
}
