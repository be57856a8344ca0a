//! The mock over its own router: what it answers, shows and keeps to itself.

mod breaches;
mod control;
mod device;
mod flows;
mod gate_control;
mod gate_ends;
mod gates;
mod http_edges;
mod journal;
mod jwt;
mod library;
mod lineage;
mod logs;
mod pages;
mod properties;
mod redaction;
mod rules;
mod sockets;
mod support;
mod worlds;
