"""Classical answers, one solver per file: each says what suits it, and what a child runs for it."""
