//! Makes the buckets behind a wiretap look versioned: stored objects get version ids, and requests may name them. The
//! versions that requests named are recorded; the store itself keeps only the last content of a key.

use std::collections::HashMap;
use std::sync::Arc;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use parking_lot::Mutex;

const SOURCE: &str = "x-amz-copy-source";
const VERSION: &str = "x-amz-version-id";

/// The versions of all objects; clones share them.
#[derive(Clone, Default)]
pub struct Versions(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    stored: u64,
    /// By the path of the object.
    current: HashMap<String, String>,
    named: Vec<(String, Option<String>)>,
}

impl Versions {
    /// The versions that the requests of one operation named, in order; `None`: the current one.
    pub fn named(&self, operation: &str) -> Vec<Option<String>> {
        let state = self.0.lock();
        let of_operation = state.named.iter().filter(|(name, _)| name == operation);
        of_operation.map(|(_, version)| version.clone()).collect()
    }

    /// Takes the version out of a request. Returns the path of its object.
    pub(crate) fn take(&self, operation: &str, request: &mut HttpRequest) -> String {
        let (path, version) = without_version(request.uri());
        // the URI was valid, and so is a part of it
        let _ = request.set_uri(path.clone());
        let mut named = version;
        if let Some(source) = request.headers().get(SOURCE).map(str::to_owned) {
            let (source, version) = without_version(&source);
            request.headers_mut().insert(SOURCE, source);
            named = version;
        }
        self.0.lock().named.push((operation.to_owned(), named));
        path.split('?').next().unwrap_or_default().to_owned()
    }

    /// Adds the version to a response.
    pub(crate) fn add(&self, operation: &str, path: &str, response: &mut HttpResponse) {
        if !response.status().is_success() {
            return;
        }
        let mut state = self.0.lock();
        let version = match operation {
            "PutObject" | "CopyObject" | "CompleteMultipartUpload" => {
                state.stored += 1;
                let version = format!("v{}", state.stored);
                state.current.insert(path.to_owned(), version.clone());
                Some(version)
            }
            "GetObject" | "HeadObject" => state.current.get(path).cloned(),
            _ => None,
        };
        if let Some(version) = version {
            response.headers_mut().insert(VERSION, version);
        }
    }
}

/// A URI without its parameter `versionId`, and the value of that.
fn without_version(uri: &str) -> (String, Option<String>) {
    let Some((path, query)) = uri.split_once('?') else {
        return (uri.to_owned(), None);
    };
    let is_version = |pair: &&str| pair.starts_with("versionId=");
    let (version, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_version);
    let version = version.first().and_then(|pair| pair.split_once('='));
    let uri = match rest.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", rest.join("&")),
    };
    (uri, version.map(|(_, version)| version.to_owned()))
}
