//! A tour of tollgate in Rust: cargo run -p tollgate-client --example tour -- ADDRESS

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tollgate_client::{
    Client, Error, Get, GetOptions, Item, Key, Object, Options, Partial, Query, Refusal, Retry, ReturnValues,
    Session, Transaction, UpdateOptions, attr, code_name, update,
};

#[derive(Serialize, Deserialize)]
struct User {
    pk: String,
    sk: String,
    name: String,
    age: u32,
    email: Option<String>,
    ssn: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    pk: String,
    sk: String,
    content: Object,
}

/// What the query reads of a user.
#[derive(Deserialize)]
struct Person {
    name: String,
    age: u32,
}

async fn connect(address: &str) -> Result<Client, Error> {
    let options = Options {
        timeout: Some(Duration::from_secs(10)),
        // calls are retried if that helps; writes only if nothing was changed, or if they are idempotent
        retry: Retry {
            attempts: 4,
            ..Retry::default()
        },
        // the server's limits.message_bytes, which is the default here
        message_bytes: 32 * 1024 * 1024,
        ..Options::default()
    };
    Client::connect_with(format!("http://{address}"), options).await
}

fn key(pk: &str, sk: &str) -> Key {
    Key::new("pk", pk).and("sk", sk)
}

async fn save_and_get(job: &Session) -> Result<(), Error> {
    let ada = User {
        pk: "USER#1".to_owned(),
        sk: "PROFILE".to_owned(),
        name: "Ada".to_owned(),
        age: 36,
        email: None,
        ssn: Some("123-45-6789".to_owned()),
    };
    let bill = job.save("User", &ada).await?.metrics;
    println!(
        "save: {} KMS call, {} write unit, ${}",
        bill.kms_calls, bill.wcu, bill.cost_usd
    );

    // a deadline for this call alone; the server passes it on to every AWS call
    let patient = job.with_timeout(Duration::from_secs(5));
    let found = patient.get::<User>("User", key("USER#1", "PROFILE")).await?;
    let bill = found.metrics;
    println!(
        "get: {}, {} KMS call, {} read units",
        found.value.name, bill.kms_calls, bill.rcu
    );
    Ok(())
}

async fn query(job: &Session) -> Result<(), Error> {
    let mut people = job.query::<Partial<Person>>(Query {
        fields: vec!["name".to_owned(), "age".to_owned()],
        filter: attr("age").ge(18).and(attr("name").begins_with("A")),
        ..Query::new("User", Key::new("pk", "USER#1"))
    });
    let mut items = 0;
    while let Some(person) = people.next().await {
        match person {
            Ok(person) => items += usize::from(person.age >= 18 && !person.name.is_empty()),
            // this item could not be read; the stream goes on
            Err(error) if error.is_of_item() => println!("{error}"),
            Err(error) => return Err(error),
        }
    }
    // the bill of a stream is there after its end
    let bill = people.metrics();
    println!(
        "query: {items} item, {} KMS calls, {} read units",
        bill.kms_calls, bill.rcu
    );
    Ok(())
}

/// The same update twice: its condition is met only once.
async fn change(job: &Session) -> Result<(), Error> {
    let changes = update()
        .set("age", attr("age") + 1)
        .set("email", "ada@example.com");
    let options = UpdateOptions {
        condition: attr("email").not_exists(),
        return_values: ReturnValues::AllOld,
        ..UpdateOptions::default()
    };
    let ada = key("USER#1", "PROFILE");
    for _ in 0..2 {
        let updated = job.update_with("User", ada.clone(), changes.clone(), options.clone());
        match updated.await {
            Ok(_) => println!("update: done"),
            Err(error) => match error.refusal() {
                // the item as it is, because of AllOld
                Some(Refusal::ConditionFailed { item: Some(item) }) => {
                    let user: User = item.clone().read()?;
                    println!("update: refused, {} is {}", user.name, user.age);
                }
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// The second transaction is refused as a whole, because Ada is not 18.
async fn transactions(job: &Session) -> Result<(), Error> {
    for age in [37, 18] {
        let grace = HashMap::from([("pk", "USER#2"), ("sk", "PROFILE"), ("name", "Grace")]);
        let transaction = Transaction::new()
            .save("User", &grace)
            .update("User", key("USER#2", "BADGES"), update().add("age", 1))
            .check("User", key("USER#1", "PROFILE"), attr("age").eq(age));
        match job.transact_write(transaction).await {
            Ok(written) => println!("transaction: {} operations", written.value.len()),
            Err(error) if error.failures().is_empty() => return Err(error),
            Err(error) => {
                for failure in error.failures() {
                    println!("transaction: operation {}, {}", failure.index, failure.message);
                }
            }
        }
    }
    let reads = ["USER#1", "USER#2", "USER#3"].map(|pk| Get::new("User", key(pk, "PROFILE")));
    let items = job.batch_get::<Item>(reads).in_order().await?;
    println!("batch: {} of 3 items", items.value.iter().flatten().count());
    Ok(())
}

/// The code and reason of an error, and the fields that are wrong.
fn reason(error: &Error) -> String {
    let mut words = vec![code_name(error.code()).to_owned()];
    words.extend(error.reason().map(|reason| reason.as_str().to_owned()));
    words.extend(error.violations().iter().map(|wrong| wrong.field.clone()));
    words.join(" ")
}

async fn failures(job: &Session) {
    let wrong = HashMap::from([("pk", "USER#1"), ("age", "old")]);
    if let Err(error) = job.save("User", &wrong).await {
        println!("wrong item: {}", reason(&error));
    }
    if let Err(error) = job.get::<Item>("User", key("USER#0", "PROFILE")).await {
        println!("missing item: {}", reason(&error));
    }
}

/// The bill of a call whose trailers were lost, by the id that the caller gave it.
async fn bill_of_lost_call(job: &Session) -> Result<(), Error> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let id = format!("rust-tour-{}", now.unwrap_or_default().as_nanos());
    let named = job.with_request_id(id.as_str());
    named.delete("User", key("USER#1", "PROFILE")).await?;
    let call = job.call_metrics(id).await?;
    let write_units = call.metrics.unwrap_or_default().total_wcu;
    println!("lost call: {}, {write_units} write unit", call.rpc);
    Ok(())
}

async fn object(job: &Session) -> Result<(), Error> {
    let report = Document {
        pk: "DOC#1".to_owned(),
        sk: "v1".to_owned(),
        content: Object {
            name: "report.bin".to_owned(),
            ..Object::new(vec![0; 5 * 1024 * 1024])
        },
    };
    job.save("Document", &report).await?;
    let options = GetOptions {
        include_objects: vec!["content".to_owned()],
        ..GetOptions::default()
    };
    let found = job
        .get_with::<Document>("Document", key("DOC#1", "v1"), options)
        .await?;
    let data = found.value.content.data.unwrap_or_default();
    println!("object: {} bytes", data.len());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:50051".to_owned());
    // every call of this handle is billed to the session
    let job = connect(&address).await?.session("rust-tour");
    save_and_get(&job).await?;
    query(&job).await?;
    change(&job).await?;
    transactions(&job).await?;
    failures(&job).await;
    bill_of_lost_call(&job).await?;
    object(&job).await?;
    let total = job.total().await?;
    println!(
        "session: {} calls, {} failed, {} KMS calls",
        total.call_count, total.failed_call_count, total.kms_calls
    );
    Ok(())
}
