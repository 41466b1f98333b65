"""A loopback IBM Runtime service: rehearse queues, prices, sessions and faults with the real IBM client.

It offers the REST API that qiskit-ibm-runtime calls, keeps its jobs on disk, has a clock of its own, bills what
runs, and runs circuits on Aer with a device's noise. It never speaks to IBM.
"""
