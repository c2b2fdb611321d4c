//! kubectl, node tools and the simulator's own commands: what people type and what they read.
