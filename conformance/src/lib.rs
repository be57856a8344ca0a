//! The same cases over every transport.
