"""Pure functions on circuits: parse, hash, compile, group, measure and compare. Run in child processes."""
