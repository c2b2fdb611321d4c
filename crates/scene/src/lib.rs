//! What there is to draw, where it stands and how it is connected, without a DOM.
