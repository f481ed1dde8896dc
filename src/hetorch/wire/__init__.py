"""Messages between client and server: bytes in, typed messages out. No sockets, no secrets."""
