//! SchemaService describes models with all their options.

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{n, s};

const MODELS: &str = r#"
name: Everything
table: everything
partition_key: pk
sort_key: sk
unknown_attributes: keep
attributes:
  pk: { type: string, template: "USER#{user_id}" }
  sk: { type: string, hidden: true, default: PROFILE }
  user_id: { type: string, required: true, min_length: 1, max_length: 40, pattern: "[a-z0-9]+" }
  email: { type: string, alias: e }
  age: { type: number, min: 0, max: 150.5 }
  level: { type: number, enum: [1, 2] }
  id: { type: string, generate: ulid }
  notes: { type: string, compressed: { algorithm: gzip, level: 6, min_size: 200, threshold: 0.5 } }
  ssn:
    type: string
    encrypted:
      key_id: alias/my-app-key
      accepts: [alias/old-key]
      context: { app: billing }
      mode: write_only
      format: pydynox
      accept_formats: [sealed]
      allow_plaintext: true
  photo:
    type: object
    s3: { bucket: my-bucket, prefix: photos/, region: us-east-1, foreign_pointers: read, max_size: 1000000, content_types: [image/png, image/*] }
  roles: { type: string_set, set_encoding: list }
  data: { type: json }
  created: { type: datetime, generate: utc_now, store: zulu_ms }
  rev: { type: version }
  address:
    type: map
    unknown_attributes: drop
    attributes:
      city: { type: string, required: true, alias: c }
  lines: { type: list, items: { type: number, min: 1 } }
  status: { type: string, enum: [open, paid] }
  gsi1pk: { type: string, template: "STATUS|{status}|{user_id}", delimiter: "|" }
indexes:
  by_status: { name: gsi1, partition_key: gsi1pk, sort_key: created, projection: [email], when: { status: [open] } }
  by_age: { local: true, sort_key: age, projection: keys_only }
---
name: Session
table: sessions
partition_key: id
attributes:
  id: { type: string }
  expires: { type: ttl, hide_expired: true }
discriminator: { attribute: kind, value: session }
compat: pydynox
idempotency: { table: requests }
"#;

async fn gateway() -> Gateway {
    Gateway::of_models(MODELS, Setup::default()).await
}

async fn model(gateway: &Gateway, name: &str) -> v1::Model {
    let request = v1::GetModelRequest {
        name: name.to_owned(),
    };
    let response = gateway.schema().get_model(request).await.expect("it is served");
    response.into_inner().model.expect("a model")
}

/// An attribute of this name and type, without options.
fn plain(name: &str, kind: &str) -> v1::Attribute {
    v1::Attribute {
        name: name.to_owned(),
        r#type: kind.to_owned(),
        ..v1::Attribute::default()
    }
}

/// All attributes, in the order of the file.
fn attributes() -> Vec<v1::Attribute> {
    [checked(), converted(), typed()].concat()
}

/// Keys, checks, defaults and generated values.
fn checked() -> Vec<v1::Attribute> {
    let text = str::to_owned;
    let string = |name| plain(name, "string");
    vec![
        v1::Attribute {
            template: text("USER#{user_id}"),
            delimiter: text("#"),
            ..string("pk")
        },
        v1::Attribute {
            hidden: true,
            default: Some(s("PROFILE")),
            ..string("sk")
        },
        v1::Attribute {
            required: true,
            min_length: Some(1),
            max_length: Some(40),
            pattern: text("[a-z0-9]+"),
            ..string("user_id")
        },
        v1::Attribute {
            alias: text("e"),
            ..string("email")
        },
        v1::Attribute {
            min: text("0"),
            max: text("150.5"),
            ..plain("age", "number")
        },
        v1::Attribute {
            r#enum: vec![n(1), n(2)],
            ..plain("level", "number")
        },
        v1::Attribute {
            generate: text("ulid"),
            ..string("id")
        },
    ]
}

/// Values that are stored in another form.
fn converted() -> Vec<v1::Attribute> {
    let text = str::to_owned;
    let string = |name| plain(name, "string");
    vec![
        v1::Attribute {
            compressed: Some(v1::Compression {
                algorithm: text("gzip"),
                level: Some(6),
                min_size: 200,
                threshold: 0.5,
            }),
            ..string("notes")
        },
        v1::Attribute {
            encrypted: Some(v1::Encryption {
                key_id: text("alias/my-app-key"),
                context: [(text("app"), text("billing"))].into(),
                mode: text("write_only"),
                format: text("pydynox"),
                accepts: vec![text("alias/old-key")],
                accept_formats: vec![text("sealed")],
                allow_plaintext: true,
            }),
            ..string("ssn")
        },
        v1::Attribute {
            s3: Some(v1::Offload {
                bucket: text("my-bucket"),
                prefix: text("photos/"),
                region: text("us-east-1"),
                foreign_pointers: text("read"),
                offload_above: None,
                max_size: 1_000_000,
                content_types: vec![text("image/png"), text("image/*")],
                purge_versions: false,
            }),
            ..plain("photo", "object")
        },
    ]
}

/// Types of values, and what is inside them.
fn typed() -> Vec<v1::Attribute> {
    let text = str::to_owned;
    let string = |name| plain(name, "string");
    vec![
        v1::Attribute {
            set_encoding: text("list"),
            ..plain("roles", "string_set")
        },
        plain("data", "json"),
        v1::Attribute {
            generate: text("utc_now"),
            store: text("zulu_ms"),
            ..plain("created", "datetime")
        },
        plain("rev", "version"),
        v1::Attribute {
            unknown_attributes: text("drop"),
            attributes: vec![v1::Attribute {
                required: true,
                alias: text("c"),
                ..string("city")
            }],
            ..plain("address", "map")
        },
        v1::Attribute {
            items: Some(Box::new(v1::Attribute {
                min: text("1"),
                ..plain("", "number")
            })),
            ..plain("lines", "list")
        },
        v1::Attribute {
            r#enum: vec![s("open"), s("paid")],
            ..string("status")
        },
        v1::Attribute {
            template: text("STATUS|{status}|{user_id}"),
            delimiter: text("|"),
            ..string("gsi1pk")
        },
    ]
}

#[tokio::test]
async fn a_model_is_described_with_all_its_options() {
    let gateway = gateway().await;
    let everything = model(&gateway, "Everything").await;
    for (declared, described) in attributes().iter().zip(&everything.attributes) {
        assert_eq!(described, declared);
    }
    assert_eq!(everything.attributes.len(), attributes().len());
    let keys = (everything.partition_key.as_str(), everything.sort_key.as_str());
    assert_eq!((everything.table.as_str(), keys), ("everything", ("pk", "sk")));
    assert_eq!(
        (everything.unknown_attributes.as_str(), everything.compat.as_str()),
        ("keep", "")
    );
    let [by_status, by_age] = everything.indexes.as_slice() else {
        panic!("{:?}", everything.indexes)
    };
    let global = (
        by_status.name.as_str(),
        by_status.stored_name.as_str(),
        by_status.local,
    );
    assert_eq!(global, ("by_status", "gsi1", false));
    assert_eq!(by_status.partition_key, ["gsi1pk"]);
    assert_eq!(by_status.sort_key, ["created"]);
    assert_eq!(
        (by_status.projection.as_str(), by_status.included.len()),
        ("include", 1)
    );
    let when = v1::IndexCondition {
        attribute: "status".to_owned(),
        values: vec![s("open")],
    };
    assert_eq!(by_status.when, [when]);
    assert_eq!((by_age.local, by_age.projection.as_str()), (true, "keys_only"));
    assert_eq!(
        (by_age.partition_key[0].as_str(), by_age.sort_key[0].as_str()),
        ("pk", "age")
    );
}

#[tokio::test]
async fn discriminators_compat_and_expiry_are_described_and_models_are_listed_by_name() {
    let gateway = gateway().await;
    let session = model(&gateway, "Session").await;
    assert_eq!(
        (session.sort_key.as_str(), session.compat.as_str()),
        ("", "pydynox")
    );
    assert_eq!(session.unknown_attributes, "reject");
    let discriminator = v1::Discriminator {
        attribute: "kind".to_owned(),
        value: "session".to_owned(),
    };
    assert_eq!(session.discriminator, Some(discriminator));
    let idempotency = v1::Idempotency {
        kind: "table".to_owned(),
        table: "requests".to_owned(),
    };
    assert_eq!(session.idempotency, Some(idempotency));
    let expires = session.attributes.iter().find(|one| one.name == "expires");
    assert!(expires.expect("it is declared").hide_expired);
    let listed = gateway.schema().list_models(v1::ListModelsRequest {}).await;
    let listed = listed.expect("it is served").into_inner().models;
    assert_eq!(listed, [model(&gateway, "Everything").await, session]);
    let unknown = v1::GetModelRequest {
        name: "Evrything".to_owned(),
    };
    let status = gateway
        .schema()
        .get_model(unknown)
        .await
        .expect_err("no such model");
    assert_eq!(Refusal::of_status(&status).reason, "UNKNOWN_MODEL");
}
