"""The ZIP of a bundle: stored members, fixed order and times, the same members the same bytes.

Written and read here, not by zipfile, because both sides must agree to the byte: the reader parses
what it needs, rebuilds the file from the members and refuses it if anything differs. So nothing can
hide in a comment, an extra field, a second directory or a gap (PKWARE APPNOTE 6.3, sections 4.3.7,
4.3.12 and 4.3.16).
"""

from __future__ import annotations

import struct
import zlib

from rdedge.errors import BundleError

MAX_BUNDLE_BYTES = 1 << 31
_MAX_MEMBERS = 64
# More than the headers of 64 members with names of up to 400 bytes take.
_OVERHEAD_BYTES = 1 << 16
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
# 1980-01-01 00:00:00, the first moment that a ZIP can name.
_TIME, _DATE = 0, (1 << 5) | 1
_VERSION = 20
_UNIX_FILE = 0o100644 << 16
_MADE_BY_UNIX = 3 << 8 | _VERSION


def pack(members: dict[str, bytes]) -> bytes:
    """Members in their order -> the ZIP file. Names are ASCII."""
    if sum(map(len, members.values())) > MAX_BUNDLE_BYTES - _OVERHEAD_BYTES:
        raise BundleError(
            f"a bundle of {sum(map(len, members.values()))} bytes",
            expected=f"at most {MAX_BUNDLE_BYTES - _OVERHEAD_BYTES}",
            do="train a smaller model",
        )
    out = bytearray()
    directory = bytearray()
    for name, data in members.items():
        raw = name.encode("ascii")
        shared = (0, 0, _TIME, _DATE, zlib.crc32(data), len(data), len(data), len(raw), 0)
        offset = len(out)
        out += _LOCAL.pack(b"PK\x03\x04", _VERSION, *shared) + raw + data
        directory += (
            _CENTRAL.pack(
                b"PK\x01\x02", _MADE_BY_UNIX, _VERSION, *shared, 0, 0, 0, _UNIX_FILE, offset
            )
            + raw
        )
    count = len(members)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(out), 0)
    return bytes(out + directory + end)


def first(data: bytes) -> bytes:
    """The first member of a file that pack may have written, not checked; b"" where none is."""
    if data[:4] != b"PK\x03\x04" or len(data) < _LOCAL.size:
        return b""
    size, name_length = (_LOCAL.unpack_from(data)[i] for i in (8, 9))
    return data[_LOCAL.size + name_length :][:size]


def unpack(data: bytes) -> dict[str, bytes]:
    """The members of a file that pack wrote. Raises BundleError for any other bytes."""
    if data[:4] != b"PK\x03\x04":
        raise BundleError(
            f"the file starts with {data[:4]!r}", expected="a bundle (.rdb), which is a ZIP file"
        )
    members: dict[str, bytes] = {}
    offset = 0
    while data[offset : offset + 4] == b"PK\x03\x04" and len(members) <= _MAX_MEMBERS:
        if len(data) - offset < _LOCAL.size:
            break
        size, name_length = (_LOCAL.unpack_from(data, offset)[i] for i in (8, 9))
        start = offset + _LOCAL.size + name_length
        if start + size > len(data):
            raise BundleError(
                f"the bundle ends after {len(data)} bytes, inside a member",
                expected=f"at least {start + size}",
                do="fetch it again: it is cut short",
            )
        try:
            name = data[offset + _LOCAL.size : start].decode("ascii")
        except UnicodeDecodeError as error:
            raise BundleError("a member's name is not ASCII", do="fetch it again") from error
        if name in members:
            raise BundleError(f"the member {name!r} is there twice", expected="once")
        members[name] = data[start : start + size]
        offset = start + size
    if pack(members) != data:
        raise BundleError(
            "the bundle is not what its members make: it was altered, cut short or written by "
            "another tool",
            do="fetch it again, or export it again",
        )
    return members
