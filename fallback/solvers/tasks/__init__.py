"""What the solvers run in a child; the libraries are imported here and nowhere else."""
