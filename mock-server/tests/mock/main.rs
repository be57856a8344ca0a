//! The mock over its own router: what it answers, shows and keeps to itself.

mod breaches;
mod config;
mod config_errors;
mod control;
mod device;
mod flows;
mod gate_control;
mod gates;
mod http_edges;
mod journal;
mod jwt;
mod library;
mod lineage;
mod logs;
mod pages;
mod properties;
mod reach;
mod redaction;
mod rules;
mod sockets;
mod support;
mod worlds;
