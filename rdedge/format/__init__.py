"""Bytes <-> dataclasses, as FORMAT.md has them.

constants  the numbers of FORMAT.md
packet     coded samples
envelope   what a batch of packets has in common
container  a file of both
reader     a cursor that trusts no length; varint, crc32c: what it reads
"""
