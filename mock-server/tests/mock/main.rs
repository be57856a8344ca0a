//! The mock over its own router: what it answers, shows and keeps to itself.

mod breaches;
mod control;
mod device;
mod events;
mod flows;
mod gate_control;
mod gates;
mod http_edges;
mod journal;
mod jwt;
mod leaks;
mod library;
mod lineage;
mod logs;
mod pages;
mod properties;
mod redaction;
mod rules;
mod seeing;
mod sockets;
mod support;
mod tokens;
mod verify;
mod worlds;
