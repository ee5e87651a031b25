//! What is measured is what was counted.

use super::*;

fn groups(counts: &[(u16, u64)]) -> ClientGroups {
    let mut groups = ClientGroups::default();
    counts.iter().for_each(|(client, count)| groups.count(*client, *count));
    groups
}

#[test]
fn a_client_that_came_through_two_lanes_is_one_client_and_counts_add_up() {
    let web: ProcessName = "web".parse().unwrap();
    let lanes = [Meters::default(), Meters::default()];
    for (lane, clients) in lanes.iter().zip([[0, 1, 9_999], [1, 9_999, 64]]) {
        let meters = lane.prepare(&web, 1, &[Part::Share], || true);
        let meter = meters[place(Part::Share)].as_ref().unwrap();
        for client in clients {
            meter.answered(204, Bucket(client), Duration::from_micros(250));
        }
        meter.failed(Bucket(1), Duration::from_millis(30));
        meter.aborted(Bucket(1), None);
        meter.aborted(Bucket(2), Some(Duration::from_secs(9)));
        meter.meter.upgrade_opened();
        meter.meter.upgrade_ended(true);
        meter.meter.upgrade_opened();
        meter.meter.upgrade_ended(false);
    }
    let mut sum = Sum::default();
    lanes.iter().flat_map(|lane| lane.read(RevisionId(7), Some(1))).for_each(|reading| sum.add(reading));
    let expected = ArmMeasured {
        answered: [0, 6, 0, 0, 0],
        failed: 2,
        aborted: 4,
        upgrades_opened: 4,
        upgrades_ended: Some(4),
        upgrades_cut: 2,
        clients: 5,
        latency: Histogram::from(vec![
            (histogram::bucket(250), 6),
            (histogram::bucket(30_000), 2),
            (histogram::bucket(9_000_000), 2),
        ]),
        // Clients 0 and 64 share a group.
        requests_by: groups(&[(0, 2), (1, 4), (9_999, 2)]),
        errors_by: groups(&[(1, 2)]),
        ..ArmMeasured::none(RevisionId(7), web, Part::Share)
    };
    assert_eq!(sum.arms(), [expected]);
}

#[test]
fn parts_are_measured_apart_and_an_arm_without_a_request_is_not_named() {
    let web: ProcessName = "web".parse().unwrap();
    let meters = Meters::default();
    let by_part = meters.prepare(&web, 1, &Part::ALL, || true);
    by_part[place(Part::Baseline)].as_ref().unwrap().answered(500, Bucket(3), Duration::from_secs(2));
    // The same arm in the next table goes on counting where it was.
    let again = meters.prepare(&web, 1, &[Part::Baseline], || true);
    again[place(Part::Baseline)].as_ref().unwrap().answered(500, Bucket(3), Duration::from_secs(2));
    let mut sum = Sum::default();
    meters.read(RevisionId(1), Some(1)).into_iter().for_each(|reading| sum.add(reading));
    let arms = sum.arms();
    let told: Vec<_> = arms.iter().map(|arm| (arm.part, arm.answered[4], arm.clients)).collect();
    assert_eq!(told, [(Part::Baseline, 2, 1)]);
}

#[test]
fn clients_are_counted_anew_with_each_version_of_the_routes_and_of_the_version_that_led_them() {
    let web: ProcessName = "web".parse().unwrap();
    let meters = Meters::default();
    let table = |version| meters.prepare(&web, version, &[Part::Share], || true)[0].clone().unwrap();
    let clients = |version| {
        let mut sum = Sum::default();
        meters.read(RevisionId(1), version).into_iter().for_each(|reading| sum.add(reading));
        let [arm] = sum.arms().try_into().unwrap();
        (arm.clients, arm.answered[1])
    };
    let answer = |measure: &Measure, client| measure.answered(200, Bucket(client), Duration::ZERO);
    let first = table(1);
    (0..50).for_each(|client| answer(&first, client));
    assert_eq!(clients(Some(1)), (50, 50));
    let second = table(2);
    assert_eq!(clients(Some(1)), (50, 50), "what is made ready is not in force yet");
    assert_eq!(clients(Some(2)), (0, 50));
    answer(&second, 7);
    // Led there by the table before, and ended after the flip.
    answer(&first, 60);
    assert_eq!(clients(Some(2)), (1, 52));
    // Other instances of the same decision are no new version.
    answer(&table(2), 8);
    assert_eq!(clients(Some(2)), (2, 53));
    table(3);
    assert_eq!((clients(Some(2)), clients(Some(3)), clients(None)), ((2, 53), (0, 53), (0, 53)));
}

#[test]
fn latencies_beyond_every_measure_fall_into_the_last_bucket_and_no_count_wraps() {
    let measure = Meters::default().prepare(&"web".parse().unwrap(), 1, &[Part::Share], || true)[0].clone().unwrap();
    measure.answered(999, Bucket(0), Duration::MAX);
    measure.meter.answered[4].set(u64::MAX);
    measure.answered(600, Bucket(0), Duration::MAX);
    let reading = measure.meter.read(RevisionId(1), &"web".parse().unwrap(), Part::Share, None).measured;
    assert_eq!(reading.answered[4], u64::MAX);
    assert_eq!(reading.latency.counts(), [(u16::try_from(BUCKETS - 1).unwrap(), 2)]);
}

#[test]
fn the_memory_of_an_arm_is_what_is_said_of_it() {
    assert_eq!(METER_BYTES, 21_456);
}
