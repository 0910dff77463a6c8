"""Live sessions: what a client says, whether its session takes it, and what a session was. Nothing here waits."""
