//! The shadow: stands on the loopback between a program and the real service, passes everything on unchanged, and compares.

mod answer;
mod app_file;
mod builder;
mod case;
mod control;
mod error;
mod facts;
mod judge;
mod page;
mod pass;
mod record;
mod refusal;
mod report;
mod serve;
mod stand_ins;
mod statements;
mod upstream;

pub use builder::{Shadow, ShadowBuilder};
pub use error::ShadowError;
pub use record::{CheckedRecord, check_record};
