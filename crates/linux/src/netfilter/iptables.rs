//! The `iptables` command.
