"""Optimisers by ask and tell. None is ever kept: one is rebuilt by asking it again and telling it the values it was told."""
