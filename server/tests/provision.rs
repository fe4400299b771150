//! `tollgate provision` against the embedded engines behind an HTTP endpoint: what it creates, what it prints, how it ends.

mod endpoint;
mod process;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ProvisionedThroughput, ScalarAttributeType, TableDescription, TimeToLiveSpecification,
};
use endpoint::Endpoint;
use process::{Ended, ended, free_folder};
use tempfile::TempDir;

const MODELS: &str = "
name: Dog
table: animals
partition_key: pk
sort_key: sk
discriminator: { attribute: kind, value: Dog }
attributes:
  pk: { type: string }
  sk: { type: number }
  email: { type: string, alias: e }
  born: { type: datetime }
  ends: { type: ttl, alias: x, hide_expired: true }
  name: { type: string }
  pin: { type: string, encrypted: { key_id: alias/pins } }
  photo: { type: object, s3: { bucket: photo-box, prefix: dogs/ } }
indexes:
  by_email: { partition_key: email, sort_key: born, projection: [name] }
  by_born: { local: true, sort_key: born, projection: keys_only }
  by_name: { partition_key: name, name: GSI2 }
";

/// Models in a folder, and the endpoint of their stores.
struct Rig {
    folder: TempDir,
    endpoint: Endpoint,
}

impl Rig {
    async fn start() -> Rig {
        let folder = free_folder();
        fs::create_dir(folder.path().join("models")).expect("an empty folder");
        fs::write(folder.path().join("models/all.yaml"), MODELS).expect("an empty folder");
        Rig {
            folder,
            endpoint: Endpoint::start().await,
        }
    }

    async fn provision(&self, arguments: &[&str]) -> Ended {
        self.provision_at(&self.endpoint.url, arguments).await
    }

    async fn provision_at(&self, url: &str, arguments: &[&str]) -> Ended {
        let arguments = [&["provision", "models", "--backend", "aws"], arguments].concat();
        let owned: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let (folder, url) = (self.folder.path().to_owned(), url.to_owned());
        let running = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = owned.iter().map(String::as_str).collect();
            let variables = [
                ("AWS_ENDPOINT_URL", url.as_str()),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
            ];
            ended(&folder, &arguments, &variables)
        });
        running.await.expect("it ends")
    }

    async fn table(&self) -> TableDescription {
        let described = self.endpoint.dynamodb.describe_table().table_name("animals");
        described
            .send()
            .await
            .expect("it exists")
            .table
            .expect("it exists")
    }

    /// The table `animals` without indexes, with keys of these types.
    async fn create_table(&self, sort: ScalarAttributeType, indexes: Vec<GlobalSecondaryIndex>) {
        let definition = |name: &str, kind: ScalarAttributeType| {
            let built = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(kind);
            built.build().expect("complete")
        };
        let has_email = !indexes.is_empty();
        let mut create = self
            .endpoint
            .dynamodb
            .create_table()
            .table_name("animals")
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(definition("pk", ScalarAttributeType::S))
            .attribute_definitions(definition("sk", sort))
            .key_schema(element("pk", KeyType::Hash))
            .key_schema(element("sk", KeyType::Range));
        if has_email {
            create = create
                .attribute_definitions(definition("e", ScalarAttributeType::S))
                .set_global_secondary_indexes(Some(indexes));
        }
        create.send().await.expect("created");
    }

    async fn enable_ttl(&self, attribute: &str) {
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true);
        let update = self
            .endpoint
            .dynamodb
            .update_time_to_live()
            .table_name("animals")
            .time_to_live_specification(specification.build().expect("complete"));
        update.send().await.expect("enabled");
    }
}

fn element(name: &str, kind: KeyType) -> KeySchemaElement {
    let built = KeySchemaElement::builder().attribute_name(name).key_type(kind);
    built.build().expect("complete")
}

fn index(name: &str, projection: ProjectionType) -> GlobalSecondaryIndex {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(element("e", KeyType::Hash))
        .projection(Projection::builder().projection_type(projection).build())
        .build()
        .expect("complete")
}

#[track_caller]
fn contains(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line:?} in\n{text}");
    }
}

const WANTED: &[&str] = &[
    "+ table animals: partition key pk (S), sort key sk (N), on demand",
    "+ global index GSI2: partition key name (S), projection all",
    "+ global index by_email: partition key e (S), sort key born (S), projection kind and name and x",
    "+ local index by_born: partition key pk (S), sort key born (S), projection keys only",
    "+ time to live: x",
    "+ bucket photo-box: in eu-central-1",
    "+ lifecycle rule: aborts multipart uploads after 7 days",
    "+ public access: blocked",
];

#[tokio::test(flavor = "multi_thread")]
async fn creates_what_is_missing_and_then_has_nothing_to_do() {
    let rig = Rig::start().await;
    let dry = rig.provision(&["--dry-run", "--keys"]).await;
    assert_eq!(dry.code, 3, "{dry:?}");
    contains(&dry.stdout, WANTED);
    contains(
        &dry.stdout,
        &["+ key alias/pins: symmetric, with this alias", "6 to add"],
    );
    assert_eq!(rig.endpoint.take_changes(), [""; 0], "a dry run changes nothing");

    let created = rig.provision(&["--keys"]).await;
    assert_eq!(created.code, 0, "{created:?}");
    contains(&created.stdout, WANTED);
    contains(&created.stdout, &["6 added"]);
    assert!(created.stderr.contains("table animals: creating"), "{created:?}");
    let changes: BTreeSet<String> = rig.endpoint.take_changes().into_iter().collect();
    let expected = [
        "CreateAlias",
        "CreateBucket",
        "CreateKey",
        "CreateTable",
        "PutBucketLifecycleConfiguration",
        "PutPublicAccessBlock",
        "UpdateTimeToLive",
    ];
    assert_eq!(changes, expected.map(str::to_owned).into());

    let table = rig.table().await;
    assert_eq!(
        (
            table.global_secondary_indexes().len(),
            table.local_secondary_indexes().len()
        ),
        (2, 1)
    );
    let rules = rig
        .endpoint
        .canned(|canned| canned.lifecycles["photo-box"].clone());
    assert!(
        rules.contains("<DaysAfterInitiation>7</DaysAfterInitiation>"),
        "{rules}"
    );
    let key = rig.endpoint.kms.describe_key().key_id("alias/pins").send().await;
    assert!(key.expect("created").key_metadata.expect("created").enabled);

    for arguments in [&[][..], &["--keys", "--dry-run"]] {
        let again = rig.provision(arguments).await;
        assert_eq!(
            (again.code, again.stdout.as_str()),
            (0, "nothing to do\n"),
            "{again:?}"
        );
    }
    assert_eq!(
        rig.endpoint.take_changes(),
        [""; 0],
        "the second run changes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn adds_global_indexes_to_a_live_table_one_at_a_time() {
    let rig = Rig::start().await;
    rig.create_table(ScalarAttributeType::N, Vec::new()).await;
    let run = rig.provision(&["--keys"]).await;
    assert_eq!(run.code, 3, "the local index is missing: {run:?}");
    contains(
        &run.stdout,
        &[
            WANTED[1],
            WANTED[2],
            WANTED[3],
            "  (keys and local indexes are fixed when a table is created: a new table is needed)",
            "7 added, 1 to change by hand",
        ],
    );
    let with_capacity = |canned: &mut endpoint::Canned| {
        let has = |body: &String| body.contains("ProvisionedThroughput");
        canned.updates.iter().filter(|body| has(body)).count()
    };
    assert_eq!(rig.endpoint.canned(with_capacity), 0, "the table is on demand");
    let updates = rig.endpoint.take_changes();
    let updates = updates.iter().filter(|name| *name == "UpdateTable").count();
    assert_eq!(
        (updates, rig.table().await.global_secondary_indexes().len()),
        (2, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_a_table_with_provisioned_capacity_get_its_capacity() {
    let rig = Rig::start().await;
    rig.create_table(ScalarAttributeType::N, Vec::new()).await;
    let throughput = ProvisionedThroughput::builder()
        .read_capacity_units(7)
        .write_capacity_units(3)
        .build()
        .expect("complete");
    let update = rig.endpoint.dynamodb.update_table().table_name("animals");
    let update = update
        .billing_mode(BillingMode::Provisioned)
        .provisioned_throughput(throughput);
    update.send().await.expect("provisioned");
    rig.provision(&[]).await;
    let updates = rig.endpoint.canned(|canned| canned.updates.clone());
    assert_eq!(updates.len(), 2, "{updates:?}");
    for update in updates {
        assert!(
            update.contains("\"ReadCapacityUnits\":7,\"WriteCapacityUnits\":3"),
            "{update}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_what_differs_and_leaves_it() {
    let rig = Rig::start().await;
    let indexes = vec![
        index("by_email", ProjectionType::KeysOnly),
        index("old", ProjectionType::All),
    ];
    rig.create_table(ScalarAttributeType::S, indexes).await;
    rig.enable_ttl("other").await;
    let bucket = rig.endpoint.s3.create_bucket().bucket("photo-box").send().await;
    bucket.expect("created");
    let rule = "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>cats/</Prefix></Filter>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>\
        </Rule></LifecycleConfiguration>";
    let put =
        |canned: &mut endpoint::Canned| canned.lifecycles.insert("photo-box".to_owned(), rule.to_owned());
    rig.endpoint.canned(put);
    let dry = rig.provision(&["--dry-run"]).await;
    assert_eq!(dry.code, 3, "{dry:?}");
    contains(
        &dry.stdout,
        &[
            "- keys: partition key pk (S), sort key sk (S)",
            "+ keys: partition key pk (S), sort key sk (N)",
            "- global index by_email: partition key e (S), projection keys only",
            WANTED[2],
            "- time to live: other",
            "+ time to live: x",
            "  global index old: partition key e (S), projection all (used by no model)",
            "- 1 lifecycle rules, none of which aborts uploads",
            "- public access: not blocked",
            "+ key alias/pins",
            "  (use --keys to create it)",
            "1 to add, 7 to change by hand",
        ],
    );
    // a rule that covers the models' prefix is enough
    let wide = rule.replace("cats/", "d");
    rig.endpoint.canned(|canned| {
        canned.lifecycles.insert("photo-box".to_owned(), wide);
        canned.blocked.insert("photo-box".to_owned());
    });
    let run = rig.provision(&[]).await;
    assert_eq!(run.code, 3, "{run:?}");
    contains(&run.stdout, &["1 added, 5 to change by hand"]);
    assert_eq!(
        rig.endpoint.take_changes(),
        ["UpdateTable"],
        "the index GSI2 alone is added"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn point_in_time_recovery_is_an_option() {
    let rig = Rig::start().await;
    assert_eq!(rig.provision(&["--keys"]).await.code, 0);
    assert!(rig.endpoint.canned(|canned| canned.recovery.is_empty()));
    let dry = rig.provision(&["--point-in-time-recovery", "--dry-run"]).await;
    contains(&dry.stdout, &["+ point-in-time recovery", "1 to add"]);
    // the store refuses once, because the backups of a new table are not available yet
    let run = rig.provision(&["--point-in-time-recovery"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("table animals: busy"), "{run:?}");
    assert!(rig.endpoint.canned(|canned| canned.recovery.contains("animals")));
    assert_eq!(
        rig.provision(&["--point-in-time-recovery"]).await.stdout,
        "nothing to do\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_that_remembers_request_ids_is_created_too() {
    let rig = Rig::start().await;
    let model = "name: Cat\ntable: cats\npartition_key: pk\nidempotency: { table: requests }\n\
                 attributes:\n  pk: { type: string }\n";
    fs::write(rig.folder.path().join("models/all.yaml"), model).expect("a file");
    let run = rig.provision(&[]).await;
    assert_eq!(run.code, 0, "{run:?}");
    contains(
        &run.stdout,
        &[
            "+ table cats: partition key pk (S), on demand",
            "+ table requests: partition key id (S), on demand",
            "+ time to live: expires",
            "3 added",
        ],
    );
    assert_eq!(rig.provision(&[]).await.stdout, "nothing to do\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_without_bucket_configurations_are_accepted() {
    let rig = Rig::start().await;
    rig.endpoint.canned(|canned| canned.lacks_configurations = true);
    let run = rig.provision(&["--keys"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(rig.provision(&[]).await.stdout, "nothing to do\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_faults_have_their_exit_codes() {
    let rig = Rig::start().await;
    // nobody listens on a port that was just given back
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let failed = rig.provision_at(&format!("http://{address}"), &[]).await;
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(
        failed
            .stderr
            .contains("table animals: DescribeTable: no connection"),
        "{failed:?}"
    );
    let folder = rig.folder.path().to_owned();
    let embedded = ended(&folder, &["provision", "models"], &[]);
    assert_eq!(embedded.code, 0, "{embedded:?}");
    assert!(embedded.stderr.contains("provisions itself"), "{embedded:?}");
    fs::write(folder.join("models/all.yaml"), "name: A\n").expect("a file");
    assert_eq!(rig.provision(&[]).await.code, 2);
    assert_eq!(ended(&folder, &["provision", "--nothing"], &[]).code, 2);
}
