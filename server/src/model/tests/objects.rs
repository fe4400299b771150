//! Faults of the option `s3`, for objects and for values that are offloaded.

use super::attributes::{Case, check};

const OBJECTS: &[Case] = &[
    ("{ type: object }", &[": an object requires `s3` with a bucket"]),
    (
        "{ type: string, s3: { bucket: abc } }",
        &[".s3: requires `offload_above`: the bytes above which a string is in S3"],
    ),
    (
        "{ type: number, s3: { bucket: abc } }",
        &[".s3: applies only to object, string, binary, not to number"],
    ),
    (
        "{ type: object, s3: { bucket: abc, offload_above: 5 } }",
        &[".s3: `offload_above` does not apply to object, which is always in S3"],
    ),
    (
        "{ type: string, s3: { bucket: abc, offload_above: 5, max_size: 10 } }",
        &[".s3: `max_size` and `content_types` apply only to object"],
    ),
    (
        "{ type: string, default: abcdef, s3: { bucket: abc, offload_above: 5 } }",
        &[".default: must not be longer than `offload_above`"],
    ),
    (
        "{ type: string, s3: { bucket: abc, offload_above: 5 }, encrypted: { key_id: k, format: pydynox } }",
        &[".s3: conflicts with `format: pydynox`, which has no objects"],
    ),
    (
        "{ type: string, template: \"A#{b}\", s3: { bucket: abc, offload_above: 5 } }",
        &[".s3: conflicts with `template`: its value is a key"],
    ),
    ("{ type: object, s3: {} }", &[".s3.bucket: is required"]),
    (
        "{ type: object, s3: { bucket: A, prefix: /a, region: '' } }",
        &[
            ".s3.bucket: must be a bucket name: 3 to 63 characters of a-z, 0-9, `.` and `-`, starting and ending with a letter or digit, and not an IP address",
            ".s3.region: must be a region such as `eu-central-1`",
            ".s3.prefix: must be at most 256 bytes such as `docs/`, not starting with `/`",
        ],
    ),
    (
        "{ type: object, s3: { bucket: abc }, encrypted: { key_id: k, format: pydynox } }",
        &[
            ".encrypted.format: pydynox applies only to string, not to object",
            ".s3: conflicts with `format: pydynox`, which has no objects",
        ],
    ),
    (
        "{ type: object, s3: { bucket: abc }, default: x }",
        &[".default: an object cannot have a default"],
    ),
];

#[test]
fn reports_faults_of_objects() {
    check(OBJECTS);
}
