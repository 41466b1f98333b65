"""How this project speaks Temporal: connection, embedded server, converter, payload storage."""
