//! The faults of a step: which request of which operation has which fate. They follow from the seed, the operation and the
//! number of the request alone.

use std::collections::BTreeMap;
use std::time::Duration;

use tollgate_tests::random::Random;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// It does nothing, and gets HTTP 500.
    Fail,
    /// It is done, and gets HTTP 500.
    DoneFail,
    /// It does nothing, and is throttled.
    Throttle,
    /// It does nothing, and its connection is cut.
    Cut,
    /// It is done, and its connection is cut.
    DoneCut,
    /// It does nothing, and never gets a response.
    Hang,
    /// It is done, and never gets a response.
    DoneHang,
    /// The process is killed before it is sent.
    Kill,
    /// The process is killed once it is done.
    DoneKill,
    /// The caller disconnects before it is sent; it is done.
    Leave,
    /// The caller disconnects once it is done.
    DoneLeave,
    /// The connection is reset in the middle of the body of the response.
    BreakBody,
    /// The body of the response ends too early.
    ShortBody,
}

/// What fails a part of the requests. Nothing that ends the step.
const ROUGH: [Fate; 8] = [
    Fate::Fail,
    Fate::Fail,
    Fate::DoneFail,
    Fate::Throttle,
    Fate::Cut,
    Fate::DoneCut,
    Fate::BreakBody,
    Fate::ShortBody,
];
/// What happens to requests that a step aims at.
const AIMED: [Fate; 13] = [
    Fate::Fail,
    Fate::DoneFail,
    Fate::Throttle,
    Fate::Cut,
    Fate::DoneCut,
    Fate::Hang,
    Fate::DoneHang,
    Fate::Kill,
    Fate::DoneKill,
    Fate::Leave,
    Fate::DoneLeave,
    Fate::BreakBody,
    Fate::ShortBody,
];
/// How often the requests of an operation may be hit from the first one aimed at.
const TIMES: [u32; 4] = [1, 1, 2, u32::MAX];
/// The longest way of a request to the store, and of its response back.
const LONGEST_WAY_MS: u64 = 20;

/// Requests that meet a fate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    operation: &'static str,
    /// The first of them, counted from 0 within the step.
    from: u32,
    times: u32,
    fate: Fate,
}

/// The faults of one step.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    seed: u64,
    aims: Vec<Aim>,
    /// How many of 1,000 requests fail.
    rough_permille: u64,
    counts: BTreeMap<String, u32>,
}

/// The fate of a request, and how long its way takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) number: u32,
    pub(crate) fate: Fate,
    pub(crate) there: Duration,
    pub(crate) back: Duration,
}

impl Weather {
    /// Nothing fails.
    pub(crate) fn calm(seed: u64) -> Weather {
        Weather {
            seed,
            aims: Vec::new(),
            rough_permille: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Something of these operations may fail.
    pub(crate) fn random(random: &mut Random, operations: &[&'static str]) -> Weather {
        let mut weather = Weather::calm(random.below(1 << 40));
        match random.below(10) {
            0..2 => {}
            2..8 => {
                for _ in 0..=random.below(2) {
                    weather.aims.push(Aim {
                        operation: random.pick(operations),
                        from: u32::try_from(random.below(3)).unwrap_or_default(),
                        times: random.pick(&TIMES),
                        fate: random.pick(&AIMED),
                    });
                }
            }
            _ => weather.rough_permille = 30 + random.below(250),
        }
        weather
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.aims.is_empty() && self.rough_permille == 0
    }

    /// Whether contents may end early in as many attempts in a row as a read makes.
    pub(crate) fn may_truncate(&self) -> bool {
        let ends_early =
            |aim: &Aim| aim.fate == Fate::ShortBody && aim.operation == "GetObject" && aim.times > 2;
        self.rough_permille > 0 || self.aims.iter().any(ends_early)
    }

    /// The course of the next request of an operation.
    pub(crate) fn course(&mut self, operation: &str) -> Course {
        let count = self.counts.entry(operation.to_owned()).or_default();
        let number = *count;
        *count += 1;
        let name = operation.bytes().fold(self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Random::new(name.wrapping_add(u64::from(number)));
        let aimed = self
            .aims
            .iter()
            .find(|aim| aim.operation == operation && number >= aim.from && number - aim.from < aim.times);
        let fate = match aimed {
            Some(aim) => aim.fate,
            None if random.below(1000) < self.rough_permille => random.pick(&ROUGH),
            None => Fate::Pass,
        };
        let mut way = || Duration::from_millis(random.below(LONGEST_WAY_MS));
        Course {
            number,
            fate,
            there: way(),
            back: way(),
        }
    }
}
