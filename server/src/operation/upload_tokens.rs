//! Opens the upload tokens of a write: the object then has the name, the type, the size and the hash of Presign, and the
//! place of its upload.

use super::gateway::Gateway;
use crate::call::Call;
use crate::expression;
use crate::fault::{Faults, Path};
use crate::item::Key;
use crate::model::{Attribute, Item, Model, Object, Value};
use crate::write::{UploadPlace, UploadTokens};

/// Opens the tokens of an item to save, which passed its checks.
pub(super) fn open_in_item(gateway: &Gateway, call: &Call, model: &Model, item: &mut Item) -> Faults {
    let mut faults = Faults::new();
    let Some(key) = Key::from_request(model, item) else {
        return faults;
    };
    let root = Path::Root("item");
    for attribute in &model.attributes {
        if let Some(Value::Object(object)) = item.get_mut(&attribute.name)
            && !object.upload_token.is_empty()
        {
            let path = Path::Name(&root, &attribute.name);
            let place = UploadPlace {
                caller: call.caller_id(),
                model,
                key: &key,
                attribute,
            };
            open(&gateway.upload_tokens, place, object, path, &mut faults);
        }
    }
    faults
}

/// Opens the tokens of the objects that an update sets. `values` are the values of the request, by placeholder.
pub(super) fn open_in_update(
    gateway: &Gateway,
    call: &Call,
    (model, key): (&Model, &Key),
    update: &mut expression::Update,
    values: &Item,
) -> Faults {
    let mut faults = Faults::new();
    let root = Path::Root("update");
    let root = Path::Name(&root, "values");
    let with_token: Vec<(&Attribute, Object)> = update
        .whole_values()
        .filter_map(|(name, value)| match value {
            Value::Object(object) if !object.upload_token.is_empty() => {
                Some((model.attribute(name)?, (**object).clone()))
            }
            _ => None,
        })
        .collect();
    for (attribute, mut object) in with_token {
        let is_same = |value: &Value| match value {
            Value::Object(sent) => sent.upload_token == object.upload_token,
            _ => false,
        };
        let sent = values.iter().find(|(_, value)| is_same(value));
        let placeholder = sent.map_or("", |(placeholder, _)| placeholder.as_str());
        let path = Path::Name(&root, placeholder);
        let place = UploadPlace {
            caller: call.caller_id(),
            model,
            key,
            attribute,
        };
        open(&gateway.upload_tokens, place, &mut object, path, &mut faults);
        update.set(&attribute.name, Value::Object(Box::new(object)));
    }
    faults
}

fn open(
    tokens: &UploadTokens,
    place: UploadPlace<'_>,
    object: &mut Object,
    path: Path<'_>,
    faults: &mut Faults,
) {
    let Some(upload) = tokens.open(&object.upload_token, place) else {
        let description = "was altered or is for another item, attribute or caller; send what Presign returned for this one";
        faults.push(Path::Name(&path, "upload_token"), description);
        return;
    };
    let attribute = place.attribute;
    if attribute.encrypted.is_some() || attribute.compressed.is_some() {
        let description = "is not for an attribute that is encrypted or compressed; send the content";
        faults.push(Path::Name(&path, "upload_token"), description);
        return;
    }
    let differs = |sent: &String, presigned: &String| !sent.is_empty() && sent != presigned;
    let fields = [
        ("name", differs(&object.name, &upload.name)),
        (
            "content_type",
            differs(&object.content_type, &upload.content_type),
        ),
        ("size", object.size_bytes != 0 && object.size_bytes != upload.size),
        ("sha256", differs(&object.sha256, &upload.sha256)),
    ];
    for (field, _) in fields.into_iter().filter(|(_, differs)| *differs) {
        faults.push(
            Path::Name(&path, field),
            "must be absent or as in the request of Presign",
        );
    }
    object.upload = Some(Box::new(upload.upload()));
    object.name = upload.name;
    object.content_type = upload.content_type;
    object.size_bytes = upload.size;
    object.sha256 = upload.sha256;
}
