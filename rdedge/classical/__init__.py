"""Classical codecs behind one interface, and what they reach: the yardsticks."""
