//! The pages themselves: their links, their length, and the programs that they show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::Regex;

use super::{read, root};

#[test]
fn programs_in_client_pages_match_their_files() {
    let piece = Regex::new(r"<!-- (tests/interop/clients/\S+) -->\n```\w+\n(?s:(.*?))```").unwrap();
    let mut pages = BTreeMap::<String, Vec<String>>::new();
    for entry in fs::read_dir(root().join("docs/clients")).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        for found in piece.captures_iter(&page) {
            pages
                .entry(found[1].to_owned())
                .or_default()
                .push(found[2].to_owned());
        }
    }
    for (file, pieces) in &pages {
        // a page shows a file in pieces, parted by blank lines
        let written = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.is_empty());
            lines.map(str::to_owned).collect()
        };
        assert_eq!(
            written(&pieces.concat()),
            written(&read(file)),
            "{file} and its page"
        );
    }
    let shown: BTreeSet<String> = pages.into_keys().collect();
    let mut files = BTreeSet::new();
    files_under("tests/interop/clients", &mut files);
    files.retain(|file| !file.ends_with("go.sum"));
    assert_eq!(shown, files);
}

#[test]
fn the_start_page_is_short_and_links_resolve() {
    assert!(read("README.md").lines().count() <= 200);
    let link = Regex::new(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)").unwrap();
    for page in pages() {
        let text = read(&page);
        for found in link
            .captures_iter(&text)
            .filter(|found| !found[1].contains("://"))
        {
            let target = match &found[1] {
                "" => root().join(&page),
                path => root().join(&page).parent().unwrap().join(path),
            };
            assert!(target.exists(), "{page} links to {}", &found[1]);
            if let Some(anchor) = found.get(2) {
                let headings = anchors(&fs::read_to_string(target).unwrap());
                assert!(
                    headings.contains(anchor.as_str()),
                    "{page} links to {}",
                    &found[0]
                );
            }
        }
        // the aws command and the SDK read different variables
        for line in text
            .lines()
            .filter(|line| line.contains("export") && line.contains("AWS_REGION="))
        {
            assert!(line.contains("AWS_DEFAULT_REGION="), "{page}: {line}");
        }
    }
}

/// Every page for readers.
fn pages() -> BTreeSet<String> {
    let mut pages = BTreeSet::from(["README.md".to_owned(), "CONTRIBUTING.md".to_owned()]);
    files_under("docs", &mut pages);
    files_under("deploy", &mut pages);
    pages.retain(|page| page.ends_with(".md"));
    pages
}

/// The anchors of a page's headings, as forges make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    headings
        .map(|heading| {
            heading
                .to_lowercase()
                .chars()
                .filter(kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

fn files_under(folder: &str, files: &mut BTreeSet<String>) {
    let entries = fs::read_dir(root().join(folder)).expect("a folder of the checkout");
    for entry in entries {
        let entry = entry.expect("an entry of the checkout");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if root().join(&path).is_dir() {
            files_under(&path, files);
        } else {
            files.insert(path);
        }
    }
}
