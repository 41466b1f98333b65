"""Typed calls of the activities of each pattern: queue, limits and retries, one file per pattern."""
