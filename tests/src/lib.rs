//! Tests of what crosses rooms live in `tests/` beside this file; this library is empty.
