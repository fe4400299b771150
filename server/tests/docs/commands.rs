//! Every command of the program is in docs/cli.md.

use std::process::Command;

use super::read;

/// The names of the commands below these words, as their help lists them.
fn below(words: &[String]) -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(words)
        .arg("--help")
        .env_clear()
        .output()
        .expect("the program starts");
    let help = String::from_utf8(help.stdout).expect("text");
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    listed
        .lines()
        .take_while(|line| line.starts_with("  "))
        // the description of a command may have further lines, which are indented more
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// All commands that have none below them.
fn commands(words: &[String]) -> Vec<Vec<String>> {
    let names = below(words);
    if names.is_empty() {
        return vec![words.to_vec()];
    }
    let further = names.into_iter().map(|name| [words, &[name]].concat());
    further.flat_map(|words| commands(&words)).collect()
}

#[test]
fn every_command_is_documented() {
    let page = read("docs/cli.md");
    let known = commands(&[]);
    assert!(known.len() > 20, "{known:?}");
    for words in known {
        let text = match words.split_first() {
            // the rows of its commands leave that out
            Some((first, rest)) if first == "call" => rest.join(" "),
            _ => format!("tollgate {}", words.join(" ")),
        };
        let is_there = [" ", "`"]
            .iter()
            .any(|end| page.contains(&format!("`{text}{end}")));
        assert!(is_there, "`{text}` is not in docs/cli.md");
    }
}
