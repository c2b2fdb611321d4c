//! A simulated Linux network: namespaces, links, routes, netfilter, conntrack, VXLAN, packets.
