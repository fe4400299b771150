//! The bill as an ORCA load report, for load balancers and clients that know gRFC A51. Knows nothing of headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use prost::Message;

use super::Bill;
use super::bill::thousandths;

/// The fields of `xds.data.orca.v3.OrcaLoadReport` that are sent
/// (<https://github.com/cncf/xds/blob/main/xds/data/orca/v3/orca_load_report.proto>).
#[derive(Clone, PartialEq, Message)]
struct OrcaLoadReport {
    /// `map<string, double>`, which is these entries on the wire.
    #[prost(message, repeated, tag = "4")]
    request_cost: Vec<CostEntry>,
    #[prost(double, tag = "9")]
    application_utilization: f64,
}

/// The key is text; as bytes it is borrowed and looks the same on the wire.
#[derive(Clone, PartialEq, Message)]
struct CostEntry {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(double, tag = "2")]
    value: f64,
}

/// The report of one call as the value of a `-bin` header. `utilization` is calls in flight over the limit.
pub(super) fn load_report(bill: &Bill, utilization: f64) -> String {
    let costs = [
        ("dynamodb.rcu", thousandths(bill.read_milliunits)),
        ("dynamodb.wcu", thousandths(bill.all_write_milliunits())),
        ("dynamodb.calls", bill.dynamodb_calls as f64),
        ("dynamodb.duration_ms", thousandths(bill.dynamodb_us)),
        ("kms.calls", bill.kms_calls as f64),
        ("kms.duration_ms", thousandths(bill.kms_us)),
        ("s3.calls", bill.s3_calls as f64),
        ("s3.duration_ms", thousandths(bill.s3_us)),
        ("s3.bytes_uploaded", bill.uploaded_bytes as f64),
        ("s3.bytes_downloaded", bill.downloaded_bytes as f64),
    ];
    let entry = |(key, value): (&'static str, f64)| CostEntry {
        key: Bytes::from_static(key.as_bytes()),
        value,
    };
    let report = OrcaLoadReport {
        request_cost: costs.map(entry).into(),
        application_utilization: utilization,
    };
    STANDARD_NO_PAD.encode(report.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// As clients have it from the proto file.
    #[derive(Clone, PartialEq, Message)]
    struct Published {
        #[prost(btree_map = "string, double", tag = "4")]
        request_cost: BTreeMap<String, f64>,
        #[prost(double, tag = "9")]
        application_utilization: f64,
    }

    #[test]
    fn the_report_reads_as_the_published_message() {
        let bill = Bill {
            read_milliunits: 500,
            write_milliunits: 1000,
            estimated_write_milliunits: 2000,
            kms_calls: 1,
            s3_us: 1_500,
            uploaded_bytes: 6 << 20,
            ..Bill::default()
        };
        let text = load_report(&bill, 0.25);
        let report = Published::decode(STANDARD_NO_PAD.decode(text).unwrap().as_slice()).unwrap();
        assert_eq!(report.application_utilization, 0.25);
        assert_eq!(report.request_cost.len(), 10);
        assert_eq!(report.request_cost["dynamodb.rcu"], 0.5);
        assert_eq!(report.request_cost["dynamodb.wcu"], 3.0);
        assert_eq!(report.request_cost["kms.calls"], 1.0);
        assert_eq!(report.request_cost["s3.duration_ms"], 1.5);
        assert_eq!(report.request_cost["s3.bytes_uploaded"], 6_291_456.0);
        assert_eq!(report.request_cost["s3.calls"], 0.0);
    }
}
