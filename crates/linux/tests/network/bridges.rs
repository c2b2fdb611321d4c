//! A bridge's MTU follows its ports' as long as nobody has changed it. Seen on Linux 6.18.

use super::lab::Lab;

#[test]
fn a_bridge_takes_the_smallest_mtu_of_its_ports() {
    let mut lab = Lab::new();
    lab.host("h", "172.18.0.3", None);
    for (command, mtu) in [
        ("ip link add br9 mtu 1450 type bridge", 1450),
        ("ip link add v0 type veth peer name v1", 1450),
        ("ip link set v0 mtu 1400", 1450),
        ("ip link set v0 master br9", 1400),
        ("ip link set v0 mtu 1300", 1300),
        ("ip link set br9 mtu 1300", 1300),
        ("ip link set v0 nomaster", 1500),
        ("ip link set br9 mtu 1500", 1500),
        ("ip link set v0 master br9", 1300),
        ("ip link set br9 mtu 1400", 1400),
        ("ip link set v0 mtu 1200", 1400),
        ("ip link set v0 nomaster", 1400),
    ] {
        lab.run("h", command);
        let shown = lab.run("h", "ip link show br9");
        assert!(
            shown.contains(&format!(" mtu {mtu} ")),
            "{command}: {shown}"
        );
    }
}
