"""The wing of the server."""
