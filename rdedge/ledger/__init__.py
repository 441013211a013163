"""What was sent, and what it cost."""
