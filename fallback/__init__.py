"""Where a job may run, and what answers when that place does not."""
