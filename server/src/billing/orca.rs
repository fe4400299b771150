//! The bill as an ORCA load report (gRFC A51), for load balancers and clients. Never touches headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::BufMut as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::figure::unit::{dollars, thousandths};
use crate::figure::{Bill, FIGURES, Unit};

/// Fields of `xds.data.orca.v3.OrcaLoadReport`
/// (<https://github.com/cncf/xds/blob/main/xds/data/orca/v3/orca_load_report.proto>).
const REQUEST_COST: u32 = 4;
const APPLICATION_UTILIZATION: u32 = 9;
/// Fields of an entry of a map.
const KEY: u32 = 1;
const VALUE: u32 = 2;
/// Bytes of a double and its field number.
const DOUBLE_BYTES: usize = 1 + size_of::<f64>();
/// Capacity for a report.
const REPORT_BYTES: usize = 384;

/// The report of one call as the value of a `-bin` header. `utilization` is calls in flight over the limit.
pub(super) fn load_report(bill: &Bill, utilization: f64) -> String {
    let mut report = Vec::with_capacity(REPORT_BYTES);
    for figure in FIGURES {
        if let Some(key) = figure.orca {
            write_cost(&mut report, key, cost(figure.unit, (figure.value)(bill)));
        }
    }
    write_double(&mut report, APPLICATION_UTILIZATION, utilization);
    STANDARD_NO_PAD.encode(report)
}

/// A figure as a double: milliseconds, units or dollars.
fn cost(unit: Unit, figure: u64) -> f64 {
    match unit {
        Unit::Count | Unit::Bytes => figure as f64,
        Unit::Microseconds | Unit::Milliunits => thousandths(figure),
        Unit::Picodollars => dollars(figure),
    }
}

/// Writes an entry of `map<string, double> request_cost`. Encoded by hand, since prost's encoding of a map, which sizes each
/// entry first, takes longer than counting all figures of a call.
fn write_cost(report: &mut Vec<u8>, key: &str, value: f64) {
    // both lengths are below 128: a byte each
    let value_bytes = if value == 0.0 { 0 } else { DOUBLE_BYTES };
    encode_key(REQUEST_COST, WireType::LengthDelimited, report);
    encode_varint((2 + key.len() + value_bytes) as u64, report);
    encode_key(KEY, WireType::LengthDelimited, report);
    encode_varint(key.len() as u64, report);
    report.put_slice(key.as_bytes());
    write_double(report, VALUE, value);
}

/// A missing field is zero.
fn write_double(report: &mut Vec<u8>, field: u32, value: f64) {
    if value != 0.0 {
        encode_key(field, WireType::SixtyFourBit, report);
        report.put_f64_le(value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message;

    use super::*;

    /// As clients decode it.
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
