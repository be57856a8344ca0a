#!/bin/sh
# rustdoc that may be asked for its JSON, whatever channel it is of.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
