//! The price book: what a unit of each service costs in one region. Whole picodollars (millionths of a millionth of a
//! dollar), so that costs add up exactly. Never asks AWS.

use std::fs;
use std::path::Path;

use crate::yaml::{Cursor, Fault, Keys, Report, documents};

const SHIPPED: &str = include_str!("prices.yaml");
/// The region of the shipped book.
const SHIPPED_REGION: &str = "us-east-1";
/// Digits of a dollar after the point, down to the picodollar.
const DECIMALS: usize = 12;

/// What a unit of each service costs, in picodollars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    region: String,
    dated: String,
    read_unit: u64,
    write_unit: u64,
    kms_request: u64,
    s3_put_request: u64,
    s3_get_request: u64,
}

const BOOK: Keys = Keys {
    known: &["dated", "regions"],
    later: &[],
};
const REGION: Keys = Keys {
    known: &["dynamodb", "kms", "s3"],
    later: &[],
};
const PER_MILLION_READS: &str = "read_request_units_per_million";
const PER_MILLION_WRITES: &str = "write_request_units_per_million";
const DYNAMODB: Keys = Keys {
    known: &[PER_MILLION_READS, PER_MILLION_WRITES],
    later: &[],
};
const PER_10000: &str = "requests_per_10000";
const KMS: Keys = Keys {
    known: &[PER_10000],
    later: &[],
};
const PUTS_PER_1000: &str = "put_requests_per_1000";
const GETS_PER_1000: &str = "get_requests_per_1000";
const S3: Keys = Keys {
    known: &[PUTS_PER_1000, GETS_PER_1000],
    later: &[],
};

impl Prices {
    /// The book that is shipped: us-east-1.
    pub fn shipped() -> Prices {
        let mut report = Report::new("the shipped price book");
        Prices::parse(SHIPPED.as_bytes(), SHIPPED_REGION, &mut report)
    }

    /// A book from a file in the form of the shipped one, with the prices of one region. All faults at once.
    pub fn read(path: &Path, region: &str) -> Result<Prices, Vec<Fault>> {
        let mut report = Report::new(path.display().to_string());
        let mut prices = Prices::default();
        match fs::read(path) {
            Ok(source) => prices = Prices::parse(&source, region, &mut report),
            Err(error) => report.add_at(0, "", error.to_string()),
        }
        match report.into_faults() {
            faults if faults.is_empty() => Ok(prices),
            faults => Err(faults),
        }
    }

    /// The region of these prices.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The day of these prices.
    pub fn dated(&self) -> &str {
        &self.dated
    }

    /// Cost of read capacity in thousandths of a unit.
    pub fn read_capacity(&self, milliunits: u64) -> u64 {
        capacity(milliunits, self.read_unit)
    }

    /// Cost of write capacity in thousandths of a unit.
    pub fn write_capacity(&self, milliunits: u64) -> u64 {
        capacity(milliunits, self.write_unit)
    }

    /// Cost of one KMS request.
    pub fn kms_request(&self) -> u64 {
        self.kms_request
    }

    /// Cost of one S3 request of the PUT class.
    pub fn s3_put_request(&self) -> u64 {
        self.s3_put_request
    }

    /// Cost of one S3 request of the GET class.
    pub fn s3_get_request(&self) -> u64 {
        self.s3_get_request
    }

    /// What could be read; zero where a fault was reported.
    fn parse(source: &[u8], region: &str, report: &mut Report) -> Prices {
        let mut prices = Prices {
            region: region.to_owned(),
            ..Prices::default()
        };
        let documents = documents(source, report);
        match documents.as_slice() {
            [book] => prices
                .read_book(&Cursor::document(book), report)
                .unwrap_or_default(),
            _ if report.count() == 0 => report.add_at(0, "", "must be one document"),
            _ => {}
        }
        prices
    }

    fn read_book(&mut self, book: &Cursor<'_>, report: &mut Report) -> Option<()> {
        let book = book.fields(&BOOK, report)?;
        if let Some(dated) = book.require("dated", report) {
            dated.text(report).unwrap_or_default().clone_into(&mut self.dated);
        }
        let regions = book.require("regions", report)?;
        let here = regions
            .entries(report)?
            .into_iter()
            .find(|(name, _)| *name == self.region);
        match here {
            Some((_, prices)) => self.read_region(&prices, report),
            None => {
                report.add(
                    regions,
                    format!("has no prices of the server's region, {}", self.region),
                );
                None
            }
        }
    }

    fn read_region(&mut self, region: &Cursor<'_>, report: &mut Report) -> Option<()> {
        let region = region.fields(&REGION, report)?;
        let sections = [("dynamodb", &DYNAMODB), ("kms", &KMS), ("s3", &S3)];
        for (name, keys) in sections {
            let Some(section) = region.require(name, report) else {
                continue;
            };
            let Some(section) = section.fields(keys, report) else {
                continue;
            };
            for key in keys.known {
                let Some(line) = section.require(key, report) else {
                    continue;
                };
                let (place, units) = self.line(key);
                *place = price(line, units, report).unwrap_or_default();
            }
        }
        Some(())
    }

    /// Where the price of a line goes, and how many units it is for.
    fn line(&mut self, key: &str) -> (&mut u64, u64) {
        match key {
            PER_MILLION_READS => (&mut self.read_unit, 1_000_000),
            PER_MILLION_WRITES => (&mut self.write_unit, 1_000_000),
            PER_10000 => (&mut self.kms_request, 10_000),
            PUTS_PER_1000 => (&mut self.s3_put_request, 1_000),
            _ => (&mut self.s3_get_request, 1_000),
        }
    }
}

fn capacity(milliunits: u64, unit_price: u64) -> u64 {
    let picodollars = u128::from(milliunits) * u128::from(unit_price) / 1000;
    u64::try_from(picodollars).unwrap_or(u64::MAX)
}

/// The price of one unit, from the price of so many.
fn price(line: &Cursor<'_>, units: u64, report: &mut Report) -> Option<u64> {
    let Some(picodollars) = picodollars(line.number(report)?) else {
        report.add(line, "must be US dollars below 1000000 with up to 12 decimals");
        return None;
    };
    if !picodollars.is_multiple_of(units) {
        report.add(
            line,
            "is finer than a millionth of a millionth of a dollar per unit",
        );
    }
    Some(picodollars / units)
}

fn picodollars(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS {
        return None;
    }
    let dollars: u64 = whole.parse().ok().filter(|dollars| *dollars < 1_000_000)?;
    let fraction: u64 = format!("{decimals:0<DECIMALS$}").parse().ok()?;
    Some(dollars * 1_000_000_000_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_book_is_what_aws_charges() {
        let mut report = Report::new("shipped");
        let prices = Prices::parse(SHIPPED.as_bytes(), SHIPPED_REGION, &mut report);
        assert_eq!(report.into_faults(), []);
        assert_eq!(prices, Prices::shipped());
        assert_eq!((prices.region(), prices.dated()), ("us-east-1", "2024-11-01"));
        assert_eq!(
            prices.read_capacity(1_000_000_000),
            125_000_000_000,
            "a million units: 0.125 dollars"
        );
        assert_eq!(prices.write_capacity(1_000_000_000), 625_000_000_000);
        assert_eq!(prices.read_capacity(500), 62_500, "half a unit");
        assert_eq!(prices.kms_request() * 10_000, 30_000_000_000);
        assert_eq!(prices.s3_put_request() * 1_000, 5_000_000_000);
        assert_eq!(prices.s3_get_request() * 1_000, 400_000_000);
    }

    #[test]
    fn a_book_of_ones_own_is_read_for_its_region() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = SHIPPED.replace("us-east-1", "eu-central-1").replace("0.03", "1");
        fs::write(file.path(), text).unwrap();
        let prices = Prices::read(file.path(), "eu-central-1").unwrap();
        assert_eq!(
            (prices.region(), prices.kms_request()),
            ("eu-central-1", 100_000_000)
        );
        let faults = Prices::read(file.path(), "us-east-1").unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0]
                .to_string()
                .ends_with("has no prices of the server's region, us-east-1"),
            "{faults:?}"
        );
    }

    #[test]
    fn reports_all_faults_at_once() {
        let text = SHIPPED
            .replace("dated", "date")
            .replace("0.125", "free")
            .replace("0.625", "0.0000001")
            .replace("0.03", "-0.03")
            .replace("put_requests_per_1000", "puts");
        let mut report = Report::new("book");
        Prices::parse(text.as_bytes(), "us-east-1", &mut report);
        let faults = report.into_faults();
        let mut paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "date",
                "dated",
                "regions.us-east-1.dynamodb.read_request_units_per_million",
                "regions.us-east-1.dynamodb.write_request_units_per_million",
                "regions.us-east-1.kms.requests_per_10000",
                "regions.us-east-1.s3.put_requests_per_1000",
                "regions.us-east-1.s3.puts",
            ]
        );
    }

    #[test]
    fn what_is_no_book_is_a_fault() {
        for text in [
            "",
            "a",
            "[]",
            "dated: \"2024-11-01\"",
            "a: [",
            "regions: {us-east-1: 1}",
            "a: 1\n---\nb: 2",
        ] {
            let mut report = Report::new("book");
            Prices::parse(text.as_bytes(), "us-east-1", &mut report);
            assert!(report.count() > 0, "{text}");
        }
        assert!(Prices::read(Path::new("/nowhere/prices.yaml"), "us-east-1").is_err());
    }

    #[test]
    fn dollars_are_exact() {
        let cases = [
            "0.0004",
            "1",
            "0.000000000001",
            "999999",
            "1000000",
            "1e3",
            "-1",
            ".5",
            "0.0000000000001",
        ];
        let expected = [
            Some(400_000_000),
            Some(1_000_000_000_000),
            Some(1),
            Some(999_999_000_000_000_000),
        ];
        assert_eq!(
            cases[..4]
                .iter()
                .map(|text| picodollars(text))
                .collect::<Vec<_>>(),
            expected
        );
        assert!(cases[4..].iter().all(|text| picodollars(text).is_none()));
    }
}
