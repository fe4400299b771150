//! Suggests the known name that is nearest to an unknown one.

/// Maximum length of a name that is compared. There is no suggestion for longer ones.
const MAX_COMPARED_CHARS: usize = 64;

/// Returns ` (did you mean …?)` if a known name is near, otherwise an empty string.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let length = name.chars().take(MAX_COMPARED_CHARS + 1).count();
    if length > MAX_COMPARED_CHARS {
        return String::new();
    }
    let allowed = length.div_ceil(3).clamp(1, 3);
    let lower = name.to_lowercase();
    // typing mistakes: a missing, additional or different letter, or two swapped ones
    known
        .into_iter()
        .filter(|candidate| candidate.chars().take(MAX_COMPARED_CHARS + 1).count() <= MAX_COMPARED_CHARS)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= allowed && (*edits < length || *edits == 0))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| format!(" (did you mean `{candidate}`?)"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_near_names() {
        let known = ["partition_key", "sort_key", "table"];
        assert_eq!(
            did_you_mean("partiton_key", known),
            " (did you mean `partition_key`?)"
        );
        assert_eq!(did_you_mean("sortKey", known), " (did you mean `sort_key`?)");
        assert_eq!(did_you_mean("tabel", known), " (did you mean `table`?)");
        assert_eq!(did_you_mean("atble", known), " (did you mean `table`?)");
        assert_eq!(did_you_mean("colour", known), "");
        assert_eq!(did_you_mean("", known), "");
        assert_eq!(did_you_mean(&"t".repeat(100_000), known), "");
    }
}
