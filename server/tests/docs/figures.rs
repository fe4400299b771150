//! `docs/figures.md` against the table of figures. With `UPDATE_DOCS=1` the page is written instead of compared.

use std::fmt::Write as _;
use std::fs;

use tollgate::figure::{Counter, FIGURES, Figure, Unit};

use super::{read, root};

const PAGE: &str = "docs/figures.md";
const BEGIN: &str = "<!-- generated from server/src/figure/table.rs -->\n";
const END: &str = "<!-- end of the generated part -->\n";

#[test]
fn the_figures_page_matches_the_table() {
    let page = read(PAGE);
    let (head, rest) = page.split_once(BEGIN).expect("the page has a generated part");
    let (generated, tail) = rest.split_once(END).expect("the generated part ends");
    let expected = format!("\n{}\n{}\n", figure_rows(), counter_rows());
    if is_updating() {
        let page = format!("{head}{BEGIN}{expected}{END}{tail}");
        return fs::write(root().join(PAGE), page).unwrap();
    }
    assert_eq!(generated, expected, "run this test with UPDATE_DOCS=1");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of this test, no setting of the server"
)]
fn is_updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

fn figure_rows() -> String {
    let mut rows =
        "| figure | unit | in `OperationMetrics` | trailer | ORCA key | span attribute |\n".to_owned();
    rows += "|---|---|---|---|---|---|\n";
    for figure in FIGURES {
        let cells = [figure.metric, figure.trailer, figure.orca, figure.span].map(code);
        let description = figure.description.trim();
        writeln!(
            rows,
            "| {description} | {} | {} |",
            unit(figure.unit),
            cells.join(" | ")
        )
        .expect("a string can be written to");
    }
    rows
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "",
        Unit::Bytes => "bytes",
        Unit::Microseconds => "ms",
        Unit::Milliunits => "capacity units",
        Unit::Picodollars => "US dollars",
    }
}

fn code(name: Option<&str>) -> String {
    name.map(|name| format!("`{name}`")).unwrap_or_default()
}

fn counter_rows() -> String {
    let mut rows = "| instrument | in Prometheus | unit | labels | what |\n".to_owned();
    rows += "|---|---|---|---|---|\n";
    let mut known: Vec<&str> = Vec::new();
    for counter in FIGURES.iter().filter_map(|figure| figure.counter) {
        if known.contains(&counter.name) {
            continue;
        }
        known.push(counter.name);
        let Counter {
            name,
            unit,
            description,
            ..
        } = counter;
        let labels = labels(name);
        let scraped = prometheus_name(name, unit);
        writeln!(
            rows,
            "| `{name}` | `{scraped}` | {unit} | {labels} | {description} |"
        )
        .expect("a string can be written to");
    }
    rows
}

fn labels(counter: &str) -> String {
    let is_of = |figure: &&Figure| figure.counter.is_some_and(|other| other.name == counter);
    let own: Vec<(&str, &str)> = FIGURES
        .iter()
        .filter(is_of)
        .filter_map(|figure| figure.counter?.label)
        .collect();
    let shared = "`rpc.method`, `tollgate.model`";
    let Some((name, _)) = own.first() else {
        return shared.to_owned();
    };
    let values: Vec<String> = own.iter().map(|(_, value)| format!("`{value}`")).collect();
    format!("`{name}` ({}), {shared}", values.join(", "))
}

fn prometheus_name(name: &str, unit: &str) -> String {
    let unit = match unit {
        "s" => "_seconds",
        "By" => "_bytes",
        "USD" => "_usd",
        annotation if annotation.starts_with('{') => "",
        other => panic!("no Prometheus name for the unit {other}"),
    };
    format!("{}{unit}_total", name.replace('.', "_"))
}
