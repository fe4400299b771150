//! The DynamoDB operations that the engine supports, and how each accesses the database.

const TARGET_PREFIX: &str = "DynamoDB_20120810.";
/// Lets a read of several statements see one snapshot of the database.
const BEGIN_SNAPSHOT: &str = "BEGIN";
/// Makes a change of several statements atomic.
const BEGIN_CHANGE: &str = "BEGIN IMMEDIATE";

/// An operation of the DynamoDB API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    ListTables,
    ListTagsOfResource,
    PutItem,
    Query,
    Scan,
    TagResource,
    TransactGetItems,
    TransactWriteItems,
    UntagResource,
    UpdateItem,
    UpdateTable,
    UpdateTimeToLive,
}

impl Operation {
    /// Parses the `x-amz-target` header.
    pub(super) fn from_target(target: &str) -> Option<Self> {
        Some(match target.strip_prefix(TARGET_PREFIX)? {
            "BatchGetItem" => Self::BatchGetItem,
            "BatchWriteItem" => Self::BatchWriteItem,
            "CreateTable" => Self::CreateTable,
            "DeleteItem" => Self::DeleteItem,
            "DeleteTable" => Self::DeleteTable,
            "DescribeTable" => Self::DescribeTable,
            "DescribeTimeToLive" => Self::DescribeTimeToLive,
            "GetItem" => Self::GetItem,
            "ListTables" => Self::ListTables,
            "ListTagsOfResource" => Self::ListTagsOfResource,
            "PutItem" => Self::PutItem,
            "Query" => Self::Query,
            "Scan" => Self::Scan,
            "TagResource" => Self::TagResource,
            "TransactGetItems" => Self::TransactGetItems,
            "TransactWriteItems" => Self::TransactWriteItems,
            "UntagResource" => Self::UntagResource,
            "UpdateItem" => Self::UpdateItem,
            "UpdateTable" => Self::UpdateTable,
            "UpdateTimeToLive" => Self::UpdateTimeToLive,
            _ => return None,
        })
    }

    /// Whether a read-only handle can run the operation.
    pub(super) fn only_reads(self) -> bool {
        self.reads_in_steps()
            || matches!(
                self,
                Self::GetItem | Self::ListTables | Self::DescribeTimeToLive | Self::ListTagsOfResource
            )
    }

    /// Whether DynamoDB wraps its request-validation messages in an envelope.
    pub(super) fn envelopes_validation(self) -> bool {
        matches!(self, Self::PutItem | Self::UpdateItem | Self::DeleteItem)
    }

    /// The statement that begins a transaction, for operations of several statements that dynoxide runs without one.
    pub(super) fn transaction(self) -> Option<&'static str> {
        if self.reads_in_steps() {
            return Some(BEGIN_SNAPSHOT);
        }
        matches!(self, Self::CreateTable | Self::DeleteTable).then_some(BEGIN_CHANGE)
    }

    /// Whether the operation reads with several statements, which must see the same data.
    fn reads_in_steps(self) -> bool {
        matches!(
            self,
            Self::Query | Self::Scan | Self::BatchGetItem | Self::TransactGetItems | Self::DescribeTable
        )
    }

    /// Whether the operation invalidates the schema that other handles have cached.
    pub(super) fn changes_tables(self) -> bool {
        matches!(
            self,
            Self::CreateTable | Self::DeleteTable | Self::UpdateTable | Self::UpdateTimeToLive
        )
    }
}
