"""Jobs: predictions that outlive their request, and the process of the server."""
