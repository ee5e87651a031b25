//! The sums close in every reading, whatever happens and whoever is killed.

use super::*;

fn shop() -> Owner {
    Owner { app: Some("shop".parse().unwrap()), kind: Kind::Live }
}

fn closes(ledger: &Ledger) -> bool {
    let answered: u64 = ledger.by_revision.values().flat_map(|revision| revision.answered).sum();
    let own: u64 = ledger.own.values().map(|own| own.count).sum();
    ledger.accepted == answered + own + ledger.aborted + ledger.lost_with_router + ledger.in_flight
}

/// A sequence that looks random and is the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn the_sum_closes_under_any_outcomes_and_kills() {
    for seed in 1..=40 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.0");
        let mut dice = Dice(seed * 0x9e37_79b9);
        let (mut in_flight, mut lost, mut accepted) = (0_u64, 0_u64, 0_u64);
        let mut ledger = LaneLedger::open(&path);
        for _ in 0..600 {
            let owner = ledger.owner(&shop());
            let revision = ledger.revision(&shop(), RevisionId(u32::try_from(dice.below(4)).unwrap()));
            match dice.below(12) {
                0..6 => {
                    owner.accepted();
                    accepted += 1;
                    in_flight += 1;
                }
                6..11 if in_flight > 0 => {
                    in_flight -= 1;
                    match dice.below(3) {
                        0 => revision.answered(u16::try_from(100 + dice.below(500)).unwrap()),
                        1 => owner.aborted(),
                        _ => {
                            let place = usize::try_from(dice.below(OwnCause::ALL.len() as u64)).unwrap();
                            owner.own(OwnCause::ALL[place], dice.below(2) == 0);
                        }
                    }
                }
                6..11 => {}
                // The process is killed: its file stays as it is.
                _ if dice.below(8) == 0 => {
                    drop((owner, revision));
                    ledger = LaneLedger::open(&path);
                    lost += in_flight;
                    in_flight = 0;
                }
                _ => {}
            }
            let reading = ledger.read(&shop());
            assert!(closes(&reading), "seed {seed}: {reading:?}");
            assert_eq!((reading.accepted, reading.in_flight, reading.lost_with_router), (accepted, in_flight, lost));
        }
    }
}

#[test]
fn a_file_opened_twice_loses_its_requests_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.0");
    let first = LaneLedger::open(&path);
    for _ in 0..3 {
        first.owner(&shop()).accepted();
    }
    first.revision(&shop(), RevisionId(1)).answered(200);
    for _ in 0..3 {
        let reading = LaneLedger::open(&path).read(&shop());
        assert_eq!((reading.accepted, reading.lost_with_router, reading.in_flight), (3, 2, 0));
        assert!(closes(&reading));
    }
}

#[test]
fn more_revisions_than_records_lose_no_count() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.0");
    let ledger = LaneLedger::open(&path);
    let revisions = u32::try_from(crate::ledger_file::RECORDS_MAX).unwrap() + 500;
    for number in 1..=revisions {
        ledger.owner(&shop()).accepted();
        let revision = ledger.revision(&shop(), RevisionId(number));
        revision.sent(Timestamp::from_micros(u64::from(number)), || Timestamp::from_micros(u64::from(number)));
        revision.answered(200);
    }
    for reading in [ledger.read(&shop()), LaneLedger::open(&path).read(&shop())] {
        assert!(closes(&reading));
        assert_eq!(reading.accepted, u64::from(revisions));
        assert_eq!(reading.lost_with_router, 0);
        assert_eq!(reading.by_revision[&RevisionId(revisions)].answered[1], 1);
        let oldest = reading.by_revision.values().next().unwrap();
        assert_eq!(oldest.first_request, Some(Timestamp::from_micros(1)));
    }
}

#[test]
fn a_broken_file_is_put_aside_and_counting_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.0");
    LaneLedger::open(&path).owner(&shop()).accepted();
    let whole = std::fs::read(&path).unwrap();
    let mut scrambled = whole.clone();
    scrambled[0] ^= 1;
    for broken in [&whole[..100], &[], &scrambled] {
        std::fs::write(&path, broken).unwrap();
        let ledger = LaneLedger::open(&path);
        assert!(ledger.is_persistent());
        assert_eq!(ledger.read(&shop()), Ledger::default());
        assert_eq!(std::fs::read(directory.path().join("ledger.0.unreadable")).unwrap(), broken);
    }
}

#[test]
fn without_a_disk_counting_goes_on_in_memory() {
    let ledger = LaneLedger::open(Path::new("/proc/no-such-place/ledger.0"));
    assert!(!ledger.is_persistent());
    ledger.owner(&shop()).accepted();
    assert_eq!(ledger.read(&shop()).in_flight, 1);
}

#[test]
fn apps_and_kinds_are_counted_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.0");
    let ledger = LaneLedger::open(&path);
    let longest: AppName = "a".repeat(40).parse().unwrap();
    let owners = [
        shop(),
        Owner { kind: Kind::Preview, ..shop() },
        Owner { app: Some(longest), kind: Kind::Live },
        Owner::NOBODY,
    ];
    for (count, owner) in owners.iter().enumerate() {
        for _ in 0..=count {
            ledger.owner(owner).accepted();
        }
    }
    drop(ledger);
    let again = LaneLedger::open(&path);
    for (count, owner) in owners.iter().enumerate() {
        assert_eq!(again.read(owner).accepted, count as u64 + 1, "{owner:?}");
    }
}
