"""Killable, limited child processes, the machine's memory admission, and the Aer code that runs in them."""
