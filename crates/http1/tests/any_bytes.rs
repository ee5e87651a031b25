//! The fuzz target's promises, on a bounded number of inputs made from a fixed seed.

#[path = "../../../fuzz/bodies/http1.rs"]
mod body;

/// What mutation begins with: one of each kind.
const SEEDS: &[&[u8]] = &[
    b"\x03GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nConnection: X-Mine, upgrade\r\nX-Mine: 1\r\nUpgrade: websocket\r\n\r\n",
    b"\x07POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"\x01POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"\x02HTTP/1.1 200 OK\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    b"\x05a;b=\"c\"\r\n0123456789\r\n1\r\nx\r\n0\r\nX-Sum: y\r\n\r\nGET",
    b"\x04GET / HTTP/1.0\r\nKeep-Alive: 5\r\nConnection: keep-alive\r\n\r\n",
];
/// Bytes that matter to a parser, put in more often than others.
const SPICE: &[u8] = b"\r\n\t :,;=\"0\0aA/-_\x7f\xff";
const ROUNDS: usize = 30_000;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % bound.max(1)
    }
}

#[test]
fn no_bytes_break_a_promise() {
    let mut dice = Dice(0x5eed_0f5e_ed5e_ed01);
    for seed in SEEDS {
        body::any_bytes(seed);
        for cut in 0..seed.len() {
            body::any_bytes(&seed[..cut]);
        }
    }
    for _ in 0..ROUNDS {
        let mut input = SEEDS[dice.below(SEEDS.len())].to_vec();
        for _ in 0..=dice.below(4) {
            let at = dice.below(input.len());
            match dice.below(5) {
                0 => input[at] = SPICE[dice.below(SPICE.len())],
                1 => input.insert(at, SPICE[dice.below(SPICE.len())]),
                2 => drop(input.remove(at)),
                3 => input.truncate(at + 1),
                _ => {
                    let other = SEEDS[dice.below(SEEDS.len())];
                    let from = dice.below(other.len());
                    input.splice(at..at, other[from..].iter().copied());
                }
            }
            if input.is_empty() {
                break;
            }
        }
        body::any_bytes(&input);
    }
}
