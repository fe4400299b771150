//! A serving process reloads its models on SIGHUP, and on changes with `--watch`; and what decides about callers on SIGHUP.

#[path = "reload/credentials.rs"]
mod credentials;
mod process;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use process::{Process, free_folder};
use tempfile::TempDir;
use tollgate_proto::v1;
use tollgate_proto::v1::schema_service_client::SchemaServiceClient;
use tonic::transport::Channel;

const MODEL: &str = "
name: User
table: users
partition_key: pk
attributes:
  pk: { type: string }
  age: { type: number, max: 10 }
";

/// How long a reload may take on a machine that does other things.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A process, its models and its log.
struct Rig {
    folder: TempDir,
    process: Process,
    schema: SchemaServiceClient<Channel>,
}

impl Rig {
    async fn start(arguments: &[&str]) -> Rig {
        let folder = free_folder();
        fs::create_dir(folder.path().join("models")).expect("as the test made it");
        fs::write(folder.path().join("models/user.yaml"), MODEL).expect("as the test made it");
        let log = fs::File::create(folder.path().join("log")).expect("as the test made it");
        let all = [
            &["--memory", "--models", "models", "--metrics-listen", "off"],
            arguments,
        ]
        .concat();
        let process = Process::serve_logged(folder.path(), &all, &[], log);
        let schema = SchemaServiceClient::new(process.channel().await);
        Rig {
            folder,
            process,
            schema,
        }
    }

    /// Replaces the model file at once, as editors do.
    fn write(&self, source: &str) {
        let file = self.file();
        let beside = file.with_extension("new");
        fs::write(&beside, source).expect("as the test made it");
        fs::rename(beside, file).expect("as the test made it");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("models/user.yaml")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("as the test made it")
    }

    async fn max(&mut self) -> String {
        let request = v1::GetModelRequest {
            name: "User".to_owned(),
        };
        let model = self
            .schema
            .get_model(request)
            .await
            .expect("as the test made it")
            .into_inner()
            .model
            .expect("as the test made it");
        let age = model
            .attributes
            .into_iter()
            .find(|attribute| attribute.name == "age");
        age.expect("as the test made it").max
    }

    /// Asks over the wire until it is so.
    async fn until(&mut self, what: &str, is_so: impl Fn(&str, &str) -> bool) {
        let begun = Instant::now();
        loop {
            let max = self.max().await;
            let log = self.log();
            if is_so(&max, &log) {
                return;
            }
            assert!(begun.elapsed() < TIMEOUT, "{what}: max is {max}\n{log}");
        }
    }
}

#[tokio::test]
async fn sighup_reloads_what_is_safe_and_keeps_the_rest() {
    let mut rig = Rig::start(&[]).await;
    rig.write(&MODEL.replace("max: 10", "max: 20"));
    rig.process.signal("HUP");
    rig.until("a check changed", |max, log| {
        max == "20" && log.contains("models reloaded")
    })
    .await;
    assert!(rig.log().contains("`max` changed from 10 to 20"), "{}", rig.log());

    rig.write(
        &MODEL
            .replace("table: users", "table: people")
            .replace("max: 10", "max: 30"),
    );
    rig.process.signal("HUP");
    rig.until("a table changed", |_, log| log.contains("models not reloaded"))
        .await;
    assert!(
        rig.log().contains("`table` changed from users to people"),
        "{}",
        rig.log()
    );
    assert_eq!(rig.max().await, "20");

    rig.write(&MODEL.replace("max: 10", "max: many"));
    rig.process.signal("HUP");
    rig.until("a file has a fault", |_, log| {
        log.matches("models not reloaded").count() == 2
    })
    .await;
    assert!(rig.log().contains("user.yaml:7"), "{}", rig.log());
    assert_eq!(rig.max().await, "20");
    let ended = rig.process.terminate();
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test]
async fn watching_reloads_on_change() {
    let mut rig = Rig::start(&["--watch"]).await;
    rig.write(&MODEL.replace("max: 10", "max: 20"));
    rig.until("moved over it", |max, _| max == "20").await;
    fs::write(rig.file(), MODEL.replace("max: 10", "max: 300")).unwrap();
    rig.until("written in place", |max, _| max == "300").await;
    fs::remove_file(rig.file()).unwrap();
    rig.until("removed", |_, log| log.contains("models not reloaded"))
        .await;
    assert_eq!(rig.max().await, "300");
    rig.write(&MODEL.replace("max: 10", "max: 40"));
    rig.until("there again", |max, _| max == "40").await;
    assert_eq!(rig.process.terminate().code, 0);
}
