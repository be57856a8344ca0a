//! Coze authentication over `ureq`.
