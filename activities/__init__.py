"""The stages of a job, one file each: thin shells between Temporal and the code that does the work."""
