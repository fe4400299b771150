//! The descriptors that are served: files by name, and by the symbols that they define.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use prost::{DecodeError, Message as _};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Files and symbols. A file is kept once, encoded.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: HashMap<String, Bytes>,
    symbols: HashMap<String, Bytes>,
    messages: BTreeSet<String>,
    services: BTreeSet<String>,
}

impl Index {
    /// Indexes encoded `FileDescriptorSet`s; the first of several files with the same name counts.
    pub(super) fn new(sets: &[&[u8]]) -> Result<Index, DecodeError> {
        let mut index = Index::default();
        for set in sets {
            for file in FileDescriptorSet::decode(*set)?.file {
                index.add(&file);
            }
        }
        Ok(index)
    }

    pub(super) fn file(&self, name: &str) -> Option<Bytes> {
        self.files.get(name).cloned()
    }

    /// The file that defines a service, method, message, field, enum or value.
    pub(super) fn file_of(&self, symbol: &str) -> Option<Bytes> {
        self.symbols.get(symbol).cloned()
    }

    pub(super) fn has_message(&self, name: &str) -> bool {
        self.messages.contains(name)
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(String::as_str)
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        if self.files.contains_key(file.name()) {
            return;
        }
        let encoded = Bytes::from(file.encode_to_vec());
        self.files.insert(file.name().to_owned(), encoded.clone());
        let package = file.package();
        for message in &file.message_type {
            self.add_message(package, message, &encoded);
        }
        for enumeration in &file.enum_type {
            self.add_enum(package, enumeration, &encoded);
        }
        for service in &file.service {
            let name = within(package, service.name());
            for method in &service.method {
                self.add_symbol(within(&name, method.name()), &encoded);
            }
            self.services.insert(name.clone());
            self.add_symbol(name, &encoded);
        }
        for extension in &file.extension {
            self.add_symbol(within(package, extension.name()), &encoded);
        }
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto, file: &Bytes) {
        let name = within(scope, message.name());
        for nested in &message.nested_type {
            self.add_message(&name, nested, file);
        }
        for enumeration in &message.enum_type {
            self.add_enum(&name, enumeration, file);
        }
        let fields = message.field.iter().chain(&message.extension);
        let fields = fields.map(prost_types::FieldDescriptorProto::name);
        let oneofs = message
            .oneof_decl
            .iter()
            .map(prost_types::OneofDescriptorProto::name);
        for member in fields.chain(oneofs) {
            self.add_symbol(within(&name, member), file);
        }
        self.messages.insert(name.clone());
        self.add_symbol(name, file);
    }

    fn add_enum(&mut self, scope: &str, enumeration: &EnumDescriptorProto, file: &Bytes) {
        let name = within(scope, enumeration.name());
        for value in &enumeration.value {
            // enum values are siblings of their enum, as in C++, but most clients request them as its members
            self.add_symbol(within(scope, value.name()), file);
            self.add_symbol(within(&name, value.name()), file);
        }
        self.add_symbol(name, file);
    }

    fn add_symbol(&mut self, name: String, file: &Bytes) {
        self.symbols.entry(name).or_insert_with(|| file.clone());
    }
}

fn within(scope: &str, name: &str) -> String {
    match scope.is_empty() {
        true => name.to_owned(),
        false => format!("{scope}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_kind_of_symbol() {
        let index = Index::new(&[tollgate_proto::FILE_DESCRIPTOR_SET]).unwrap();
        for symbol in [
            "tollgate.v1.DataService",
            "tollgate.v1.DataService.Get",
            "tollgate.v1.GetRequest",
            "tollgate.v1.GetRequest.model",
            "tollgate.v1.AttributeValue.kind",
        ] {
            assert!(index.file_of(symbol).is_some(), "{symbol}");
        }
        assert!(index.file_of("tollgate.v1.Nothing").is_none());
        assert!(index.file_of("").is_none());
        assert!(index.has_message("tollgate.v1.GetRequest") && !index.has_message("tollgate.v1.DataService"));
        let file = index.file("tollgate/v1/data_service.proto").unwrap();
        assert_eq!(index.file_of("tollgate.v1.DataService"), Some(file));
    }

    #[test]
    fn rejects_bytes_that_are_not_a_descriptor_set() {
        assert!(Index::new(&[b"\xff\xff"]).is_err());
    }
}
