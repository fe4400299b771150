//! The input of one case: all its choices follow from its seed. Notes show a failing input.

use tollgate_tests::random::Random;

/// Numbers drawn and thrown away, so that neighbouring seeds have nothing in common.
const WARM_UP: usize = 4;

/// What one case is made of.
pub(crate) struct Input {
    random: Random,
    notes: Option<Vec<String>>,
}

impl Input {
    /// The input of a seed. `is_noted`: keeps notes.
    pub(crate) fn new(seed: u64, is_noted: bool) -> Input {
        let mut random = Random::new(seed);
        for _ in 0..WARM_UP {
            random.below(2);
        }
        Input {
            random,
            notes: is_noted.then(Vec::new),
        }
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound.max(1) as u64)).expect("a number below a usize")
    }

    /// True once in `bound` draws on average.
    pub(crate) fn once_in(&mut self, bound: u64) -> bool {
        self.random.once_in(bound)
    }

    /// One of the choices.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        self.random.pick(choices)
    }

    /// One of the choices, by reference.
    pub(crate) fn choose<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[self.below(choices.len())]
    }

    /// Adds a line about the input, if notes are kept.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.notes {
            notes.push(line());
        }
    }

    /// The notes, if they were kept.
    pub(crate) fn into_notes(self) -> Vec<String> {
        self.notes.unwrap_or_default()
    }
}
