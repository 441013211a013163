"""Numbers in, pages out: tables for a terminal, pictures."""
