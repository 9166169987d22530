//! Definitions that QLC+ brings: all of Debian's `qlcplus-data`.
