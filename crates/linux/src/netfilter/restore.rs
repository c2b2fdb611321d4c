//! `iptables-restore` and `iptables-save`: rules as text.
