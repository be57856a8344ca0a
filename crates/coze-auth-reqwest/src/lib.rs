//! Coze authentication over `reqwest`.
