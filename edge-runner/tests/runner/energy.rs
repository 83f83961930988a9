//! Energy sensors of boards, as `/sys` and `vcgencmd` show them. The trees are written after the kernel's and the
//! boards' documentation.

use std::time::Duration;

use edge_runner::energy::{Meter, Power, Sensor, of_inferences};
use edge_runner::system::SystemTree;

use crate::boards::tree;

const ORIN: &[(&str, &str)] = &[
    ("sys/class/hwmon/hwmon0/name", "gpio_fan\n"),
    ("sys/class/hwmon/hwmon3/name", "ina3221\n"),
    ("sys/class/hwmon/hwmon3/in1_label", "VDD_IN\n"),
    ("sys/class/hwmon/hwmon3/in1_input", "4976\n"),
    ("sys/class/hwmon/hwmon3/curr1_input", "1200\n"),
    ("sys/class/hwmon/hwmon3/in2_label", "VDD_CPU_GPU_CV\n"),
    ("sys/class/hwmon/hwmon3/in2_input", "4976\n"),
    ("sys/class/hwmon/hwmon3/curr2_input", "400\n"),
    ("sys/class/hwmon/hwmon3/in3_label", "NC\n"),
    ("sys/class/hwmon/hwmon3/in7_label", "sum of shunt voltages\n"),
];

const XAVIER_WITHOUT_INPUT_RAIL: &[(&str, &str)] = &[
    ("sys/bus/i2c/devices/1-0040/iio:device0/rail_name_0", "GPU\n"),
    ("sys/bus/i2c/devices/1-0040/iio:device0/in_voltage0_input", "5000\n"),
    ("sys/bus/i2c/devices/1-0040/iio:device0/in_current0_input", "100\n"),
    ("sys/bus/i2c/devices/1-0040/iio:device0/rail_name_1", "CPU\n"),
    ("sys/bus/i2c/devices/1-0040/iio:device0/in_voltage1_input", "5000\n"),
    ("sys/bus/i2c/devices/1-0040/iio:device0/in_current1_input", "300\n"),
];

const RASPBERRY_PI_5: &[(&str, &str)] = &[(
    "commands/vcgencmd pmic_read_adc",
    "    3V3_SYS_A current(1)=0.50000000A\n VDD_CORE_A current(7)=2.00000000A\n   \
     3V3_SYS_V volt(9)=3.30000000V\n  VDD_CORE_V volt(15)=0.80000000V\n     EXT5V_V volt(24)=5.15268000V\n   \
     BATT_V volt(25)=0.00488400V\n",
)];

const X86: &[(&str, &str)] = &[
    ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
    ("sys/class/powercap/intel-rapl:0/energy_uj", "262143000000\n"),
    ("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n"),
    ("sys/class/powercap/intel-rapl:0:0/name", "core\n"),
    ("sys/class/powercap/intel-rapl:0:0/energy_uj", "7\n"),
    ("sys/class/powercap/intel-rapl:1/name", "psys\n"),
];

fn sensor(files: &[(&str, &str)]) -> (tempfile::TempDir, SystemTree, Sensor) {
    let (folder, tree) = tree(files);
    let sensor = Sensor::find(&tree, None).unwrap();
    (folder, tree, sensor)
}

fn assert_watts(files: &[(&str, &str)], source: &str, watts: f64) {
    let (_folder, tree, sensor) = sensor(files);
    assert_eq!(sensor.source(), source);
    assert!((sensor.watts(&tree).unwrap() - watts).abs() < 1e-9);
}

#[test]
fn the_input_rail_of_a_jetson_is_the_whole_board() {
    assert_watts(ORIN, "INA3221 VDD_IN", 4.976 * 1.2);
}

#[test]
fn without_an_input_rail_the_rails_are_summed() {
    assert_watts(XAVIER_WITHOUT_INPUT_RAIL, "INA3221, sum of CPU, GPU", 2.0);
}

#[test]
fn a_raspberry_pi_5_sums_the_rails_that_have_a_current() {
    assert_watts(RASPBERRY_PI_5, "PMIC, sum of its rails", 0.5 * 3.3 + 2.0 * 0.8);
}

#[test]
fn a_raspberry_pi_4_and_an_unreadable_counter_have_no_sensor() {
    for files in
        [&X86[..1], &[("commands/vcgencmd pmic_read_adc", "error=1 error_msg=\"Command not registered\"\n")]]
    {
        let (_folder, tree) = tree(files);
        assert_eq!(Sensor::find(&tree, None), None);
    }
}

#[test]
fn a_counter_that_begins_again_is_followed() {
    let (folder, tree, sensor) = sensor(X86);
    assert_eq!((sensor.source().as_str(), sensor.watts(&tree)), ("RAPL, 1 processor package(s)", None));
    let meter = Meter::start(&sensor, &tree, None);
    std::thread::sleep(Duration::from_millis(1));
    std::fs::write(folder.path().join("sys/class/powercap/intel-rapl:0/energy_uj"), "671150").unwrap();
    // Longer than it is between two readings.
    std::thread::sleep(Duration::from_millis(120));
    let power = meter.stop().unwrap();
    // 0.32885 J up to the end of the range and 0.67115 J from 0, in some time above a millisecond.
    assert!(power.watts > 0.0 && power.watts <= 1000.0, "{power:?}");
    assert_eq!(power.samples_per_second, None);
}

#[test]
fn a_power_sensor_is_read_in_between() {
    let (_folder, tree, sensor) = sensor(ORIN);
    let meter = Meter::start(&sensor, &tree, None);
    std::thread::sleep(Duration::from_millis(20));
    let power = meter.stop().unwrap();
    assert!((power.watts - 4.976 * 1.2).abs() < 1e-9 && power.samples_per_second > Some(0.0), "{power:?}");
}

#[test]
fn what_the_board_takes_at_rest_is_not_the_models() {
    let (_folder, _, sensor) = sensor(ORIN);
    let at = |watts| Power { watts, standard_error: Some(0.1), samples_per_second: Some(10.0) };
    let energy = of_inferences(&sensor, at(3.0), at(5.0), 10.0, 4000).unwrap();
    assert!((energy.inference_mj - 5.0).abs() < 1e-9);
    assert_eq!((energy.idle_watts, energy.watts), (3.0, 5.0));
    assert!((energy.noise_mj.unwrap() - 3.0 * 0.02f64.sqrt() * 2.5).abs() < 1e-9, "{energy:?}");
}

#[test]
fn a_difference_below_the_sensors_noise_is_not_told() {
    let (_folder, _, sensor) = sensor(ORIN);
    let at = |watts, standard_error| Power { watts, standard_error, samples_per_second: Some(10.0) };
    let told = |rest, power| of_inferences(&sensor, rest, power, 10.0, 4000).is_some();
    assert!(told(at(3.0, Some(0.1)), at(3.5, Some(0.1))));
    assert!(!told(at(3.0, Some(0.1)), at(3.4, Some(0.1))), "0.4 W, where 0.42 W may be noise");
    assert!(told(at(3.0, Some(0.0)), at(3.01, Some(0.0))), "a sensor without noise");
    for (rest, power) in [
        (at(3.0, Some(0.0)), at(3.0, Some(0.0))),
        (at(5.0, Some(0.0)), at(3.0, Some(0.0))),
        (at(3.0, None), at(5.0, Some(0.1))),
        (at(3.0, Some(f64::NAN)), at(5.0, Some(0.1))),
        (at(f64::NAN, Some(0.1)), at(5.0, Some(0.1))),
        (at(3.0, Some(0.1)), at(f64::INFINITY, Some(f64::INFINITY))),
    ] {
        assert!(!told(rest, power), "{rest:?} {power:?}");
    }
}

#[test]
fn power_that_cannot_be_is_not_told() {
    for (volts, amperes) in [
        ("4976", "0"),
        ("4976", "-1200"),
        ("0", "1200"),
        ("-1", "1200"),
        ("4976", "nan"),
        ("99999999", "5"),
        ("5000", "x"),
    ] {
        let (_folder, tree) = tree(&[
            ("sys/class/hwmon/hwmon3/name", "ina3221\n"),
            ("sys/class/hwmon/hwmon3/in1_label", "VDD_IN\n"),
            ("sys/class/hwmon/hwmon3/in1_input", volts),
            ("sys/class/hwmon/hwmon3/curr1_input", amperes),
        ]);
        assert_eq!(Sensor::find(&tree, None), None, "{volts} mV, {amperes} mA");
    }
}

#[test]
fn a_rail_that_the_boards_description_names_is_read() {
    let (_folder, tree) = tree(ORIN);
    let find = |named| Sensor::find(&tree, Some(named)).unwrap().source();
    assert_eq!(
        find("/sys/…/in*_input, curr*_input (INA3221, rail VDD_CPU_GPU_CV)"),
        "INA3221 VDD_CPU_GPU_CV"
    );
    assert_eq!(find("/sys/…/in*_input, curr*_input (INA3221, rail POM_5V_IN)"), "INA3221 VDD_IN", "not here");
}

#[test]
fn a_counter_that_jumps_has_counted_something_else() {
    let (folder, tree, sensor) = sensor(X86);
    let counter = folder.path().join("sys/class/powercap/intel-rapl:0/energy_uj");
    for (before, after) in
        [("1000", "999"), ("0", "262143000000"), ("5", "18446744073709551615"), ("18446744073709551615", "5")]
    {
        std::fs::write(&counter, before).unwrap();
        let meter = Meter::start(&sensor, &tree, None);
        std::fs::write(&counter, after).unwrap();
        assert_eq!(meter.stop(), None, "{before} to {after} µJ in a moment");
    }
}

#[test]
fn a_sensor_that_stops_answering_is_not_believed_in_what_it_said_before() {
    let (folder, tree, sensor) = sensor(ORIN);
    let meter = Meter::start(&sensor, &tree, None);
    std::thread::sleep(Duration::from_millis(120));
    std::fs::remove_file(folder.path().join("sys/class/hwmon/hwmon3/in1_input")).unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(meter.stop(), None);
}
