"""What authors of backends test them with."""
