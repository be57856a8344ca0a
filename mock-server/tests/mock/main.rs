//! The mock over its own router: what it answers, shows and keeps to itself.

mod breaches;
mod control;
mod device;
mod fault_control;
mod fault_holds;
mod fault_sockets;
mod faults;
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
mod raw;
mod redaction;
mod rules;
mod scripts;
mod sockets;
mod support;
mod worlds;
