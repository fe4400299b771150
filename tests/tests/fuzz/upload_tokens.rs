//! Upload tokens: whatever is sealed with the right key is an upload or refused, and an edited token never opens.

use std::sync::LazyLock;

use aes_gcm::{Aes256Gcm, KeyInit as _};
use hkdf::Hkdf;
use sha2::Sha256;
use tollgate::item::{ItemId, Key};
use tollgate::model::{Item, Model, Models, Value};
use tollgate::write::{UploadPlace, UploadTokens};

use super::Outcome;
use super::input::Input;
use super::stored::{KEY, edited_token, token};
use super::{mutation, values};

const MODEL: &str = "
name: File
table: files
partition_key: pk
attributes:
  pk: { type: string }
  file: { type: object, s3: { bucket: files-of-tests } }
";
const UPLOAD: &str = r#"{"bucket":"files-of-tests","key":".uploads/00000000000000000000000007","name":"report.pdf","content_type":"application/pdf","size":7,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#;
const WORDS: [&str; 8] = [
    "\"region\":\"eu-west-1\",",
    "\"size\":-1",
    "\"size\":1e30",
    "null",
    "{",
    "}",
    "\"extra\":1,",
    "\\u0000",
];

static TOKENS: LazyLock<UploadTokens> = LazyLock::new(|| UploadTokens::new(&KEY));
static PLACE: LazyLock<(Model, Key)> = LazyLock::new(|| {
    let models =
        Models::parse("models.yaml", MODEL.as_bytes()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let model = models.iter().next().expect("a model");
    let item = Item::from([("pk".to_owned(), Value::S("A".to_owned()))]);
    let key = Key::from_request(model, &item).expect("a key");
    (Model::clone(model), key)
});

/// Tokens: any upload under the right key is read or refused, and an edited token is refused.
pub(crate) fn upload_tokens(input: &mut Input) -> Outcome {
    let upload = match input.once_in(8) {
        true => values::text(input),
        false => mutation::text(input, UPLOAD.to_owned(), &WORDS),
    };
    let token = sealed(&upload);
    input.note(|| format!("{token}: {upload}"));
    let edited = edited_token(input, &token);
    if edited != token {
        assert!(
            TOKENS.open(&edited, place()).is_none(),
            "an edited token opens: {edited}"
        );
    }
    match TOKENS.open(&token, place()) {
        Some(opened) => {
            let text = serde_json::to_string(&opened).expect("texts and a number");
            assert!(TOKENS.open(&sealed(&text), place()) == Some(opened), "{text}");
            Outcome::Accepted
        }
        None => Outcome::Refused,
    }
}

fn place() -> UploadPlace<'static> {
    let (model, key) = &*PLACE;
    UploadPlace {
        caller: &[],
        model,
        key,
        attribute: model.attribute("file").expect("it is declared"),
    }
}

/// A token as the gateway makes it.
fn sealed(upload: &str) -> String {
    static CIPHER: LazyLock<Aes256Gcm> = LazyLock::new(|| {
        let mut derived = [0; 32];
        let expanded = Hkdf::<Sha256>::new(None, &KEY).expand(b"tollgate upload token v1", &mut derived);
        expanded.expect("32 bytes are one block of SHA-256");
        Aes256Gcm::new(&derived.into())
    });
    let (model, key) = &*PLACE;
    let mut bound_to = ItemId::new(&model.table, key).into_bytes();
    bound_to.extend(4_u64.to_be_bytes());
    bound_to.extend(b"file");
    token(&CIPHER, 1, upload.as_bytes(), &bound_to)
}
