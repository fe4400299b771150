//! The age of objects and uploads in S3's lists: a test makes some old without waiting.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The keys of objects and uploads that lists report as years old. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Aged(Arc<Mutex<BTreeSet<String>>>);

impl Aged {
    /// Lists report this key as old from now on.
    pub fn add(&self, key: impl Into<String>) {
        self.0.lock().insert(key.into());
    }

    /// Lists report the true age of this key again.
    pub fn remove(&self, key: &str) {
        self.0.lock().remove(key);
    }

    /// Whether lists report this key as old.
    fn has(&self, key: &str) -> bool {
        let aged = self.0.lock();
        // lists of objects encode the keys
        aged.contains(key) || aged.contains(&key.replace("%25", "%"))
    }

    /// The list with the years of old entries replaced.
    pub fn rewrite(&self, list: &str) -> String {
        let tag = if list.contains("<Upload>") {
            "<Upload>"
        } else {
            "<Contents>"
        };
        let mut rewritten = String::with_capacity(list.len());
        for (index, entry) in list.split(tag).enumerate() {
            let from_key = entry.split_once("<Key>").map_or("", |(_, from_key)| from_key);
            let key = from_key.split_once("</Key>").map_or("", |(key, _)| key);
            if index > 0 {
                rewritten.push_str(tag);
            }
            match self.has(key) {
                true => rewritten.push_str(&aged_entry(entry)),
                false => rewritten.push_str(entry),
            }
        }
        rewritten
    }
}

/// The entry with the year 2001 in its time.
fn aged_entry(entry: &str) -> String {
    for tag in ["<LastModified>", "<Initiated>"] {
        if let Some((before, after)) = entry.split_once(tag) {
            return format!("{before}{tag}2001{}", &after[4..]);
        }
    }
    entry.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_keys_are_old() {
        let aged = Aged::default();
        aged.add("a%23");
        let list = "<R><Contents><Key>a%2523</Key><LastModified>2026-01</LastModified></Contents>\
                    <Contents><Key>b</Key><LastModified>2026-02</LastModified></Contents></R>";
        assert_eq!(aged.rewrite(list), list.replace("2026-01", "2001-01"));
        let list = "<R><Upload><Initiated>2026-01</Initiated><Key>b</Key></Upload>\
                    <Upload><Initiated>2026-02</Initiated><Key>a%23</Key></Upload></R>";
        assert_eq!(aged.rewrite(list), list.replace("2026-02", "2001-02"));
    }
}
