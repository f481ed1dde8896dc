"""Layer 3: the messages between client and server, from bytes to types and back. No sockets, no secrets."""
