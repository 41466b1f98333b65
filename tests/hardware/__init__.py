"""Tests that need an account at IBM; `make hardware` runs them, and nothing else does."""
