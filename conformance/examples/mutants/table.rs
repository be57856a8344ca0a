//! The mutants.

mod asks;
mod claims;
mod flows;
mod keeps;
mod reads;
mod sends;
mod tells;
mod urls;
mod workload;

use crate::mutant::Mutant;

pub(crate) fn all() -> Vec<Mutant> {
    let parts = [
        asks::all(),
        sends::all(),
        claims::all(),
        reads::all(),
        flows::all(),
        tells::all(),
        urls::all(),
        keeps::all(),
        workload::all(),
    ];
    parts.into_iter().flatten().collect()
}
