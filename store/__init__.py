"""The truth about what was asked, made and spent: jobs, events, stages, submissions, results, artifacts.

Each module holds the functions of one noun; they take a connection, so that an activity can write several
nouns in one transaction. Every write is idempotent, because every activity may run twice.
"""
