//! The choices of one case, which follow from its seed and its number.

use tollgate_tests::random::Random;

/// Texts that parsers of headers, names and numbers treat specially.
const ODD: [&str; 24] = [
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "18446744073709551616",
    "null",
    "true",
    "\u{0}",
    "\t",
    "%00",
    "%zz",
    "../../etc/passwd",
    "a\u{202e}b",
    "İ",
    "\u{10ffff}",
    "{}",
    "[]",
    "\"",
    "'; --",
    "*",
    "TENANT#",
    "#",
    ":",
];

/// What one case is made of.
pub(crate) struct Input(Random);

impl Input {
    /// The input of a case.
    pub(crate) fn new(seed: u64, case: u64) -> Input {
        let mut random = Random::new(seed.wrapping_mul(0x0100_0000_01b3).wrapping_add(case));
        // neighbouring cases have nothing in common
        for _ in 0..4 {
            random.below(2);
        }
        Input(random)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound.max(1) as u64)).expect("a number below a usize")
    }

    /// True once in `bound` draws on average.
    pub(crate) fn once_in(&mut self, bound: u64) -> bool {
        self.0.once_in(bound)
    }

    /// One of the choices.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        self.0.pick(choices)
    }

    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Up to so many random bytes.
    pub(crate) fn noise(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.byte()).collect()
    }

    /// An odd text: special, random or very long.
    pub(crate) fn text(&mut self) -> String {
        match self.below(4) {
            0 => self.pick(&ODD).repeat(1 + self.below(3)),
            1 => String::from_utf8_lossy(&self.noise(40)).into_owned(),
            2 => self
                .pick(&["a", "é", "Z9", "."])
                .repeat(self.pick(&[63, 64, 65, 255, 256, 257, 1025, 5000])),
            _ => (0..self.below(20))
                .map(|_| char::from(33 + self.byte() % 94))
                .collect(),
        }
    }

    /// Changes some of these bytes.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let random = self.pick(&[0, 1, 2, 4, 0x7f, 0x80, 0xff, b'A', b'=', b'.']);
            match (self.below(7), bytes.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << self.below(8),
                (1, Some(byte)) => *byte = random,
                (2, Some(_)) => drop(bytes.remove(at)),
                (3, _) if self.once_in(3) => bytes.truncate(at),
                (4, _) => {
                    let end = (at + 1 + self.below(16)).min(bytes.len());
                    let copy = bytes[at.min(end)..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, copy);
                }
                (5, _) => {
                    let noise = self.noise(8);
                    bytes.splice(at..at, noise);
                }
                (_, _) => bytes.insert(at, random),
            }
        }
    }
}
