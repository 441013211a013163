"""Integers <-> bits: tables, quantiser and the entropy coder, in C and in NumPy."""
