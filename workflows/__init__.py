"""What happens to a job, told in order; nothing here touches Qiskit, a provider or a disk."""
