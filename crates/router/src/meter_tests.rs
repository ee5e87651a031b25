//! What is measured is what was counted.

use super::*;

#[test]
fn a_client_that_came_through_two_lanes_is_one_client_and_counts_add_up() {
    let web: ProcessName = "web".parse().unwrap();
    let lanes = [Meters::default(), Meters::default()];
    for (lane, clients) in lanes.iter().zip([[0, 1, 9_999], [1, 9_999, 64]]) {
        let meters = lane.prepare(&web, &[Part::Share], || true);
        let meter = meters[place(Part::Share)].as_ref().unwrap();
        for client in clients {
            meter.answered(204, Bucket(client), Duration::from_micros(250));
        }
        meter.failed(Bucket(1), Duration::from_millis(30));
        meter.aborted(Bucket(1));
        meter.upgrade_opened();
        meter.upgrade_cut();
    }
    let mut sum = Sum::default();
    lanes.iter().flat_map(|lane| lane.read(RevisionId(7))).for_each(|reading| sum.add(reading));
    let expected = ArmMeasured {
        answered: [0, 6, 0, 0, 0],
        failed: 2,
        aborted: 2,
        upgrades_opened: 2,
        upgrades_cut: 2,
        clients: 4,
        latency: Histogram::from(vec![(histogram::bucket(250), 6), (histogram::bucket(30_000), 2)]),
        ..ArmMeasured::none(RevisionId(7), web, Part::Share)
    };
    assert_eq!(sum.arms(), [expected]);
}

#[test]
fn parts_are_measured_apart_and_an_arm_without_a_request_is_not_named() {
    let web: ProcessName = "web".parse().unwrap();
    let meters = Meters::default();
    let by_part = meters.prepare(&web, &Part::ALL, || true);
    by_part[place(Part::Baseline)].as_ref().unwrap().answered(500, Bucket(3), Duration::from_secs(2));
    // The same arm in the next table goes on counting where it was.
    let again = meters.prepare(&web, &[Part::Baseline], || true);
    again[place(Part::Baseline)].as_ref().unwrap().answered(500, Bucket(3), Duration::from_secs(2));
    let mut sum = Sum::default();
    meters.read(RevisionId(1)).into_iter().for_each(|reading| sum.add(reading));
    let arms = sum.arms();
    let told: Vec<_> = arms.iter().map(|arm| (arm.part, arm.answered[4], arm.clients)).collect();
    assert_eq!(told, [(Part::Baseline, 2, 1)]);
}

#[test]
fn latencies_beyond_every_measure_fall_into_the_last_bucket_and_no_count_wraps() {
    let meter = Meter::new();
    meter.answered(999, Bucket(0), Duration::MAX);
    meter.answered[4].set(u64::MAX);
    meter.answered(600, Bucket(0), Duration::MAX);
    let reading = meter.read(RevisionId(1), &"web".parse().unwrap(), Part::Share).measured;
    assert_eq!(reading.answered[4], u64::MAX);
    assert_eq!(reading.latency.counts(), [(u16::try_from(BUCKETS - 1).unwrap(), 2)]);
}

#[test]
fn the_memory_of_an_arm_is_what_is_said_of_it() {
    assert_eq!(METER_BYTES, 19_688);
}
