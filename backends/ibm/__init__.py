"""How IBM's client is driven, in child processes that may be killed; `backends/ibm_runtime.py` is the backend."""
