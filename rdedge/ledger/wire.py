"""Bytes on the wire: apportioned to packets where they were counted, else estimated.

The estimate is of one message on a connection that stands, MQTT 3.1.1 at QoS 1 (OASIS, sections
2.2.3, 3.3, 3.4) in TLS 1.3 records (RFC 8446, section 5.2: 5 bytes of header, 1 of type, 16 of tag,
at most 2^14 of content) over TCP with timestamps and IPv4 (52 bytes a segment; the receiver
acknowledges every second segment, RFC 9293, section 3.8.6.3). docs/ledger.md has it in one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rdedge.errors import ConfigError
from rdedge.ledger.schema import IntervalRow, PacketRow, SentRow, WireKind

PROTOCOLS = ("mqtt-tls", "tls", "tcp", "none")
_SEGMENT = 52
_RECORD, _RECORD_BYTES = 22, 1 << 14
_PUBACK = 4


@dataclass(frozen=True)
class Link:
    """What a message costs beside its bytes.

    protocol: mqtt-tls, tls (a stream with 4 bytes of length a message), tcp (the same without
    TLS), none (the payload alone). mtu: bytes of an IP packet. topic_bytes: of the MQTT topic.
    """

    protocol: str = "mqtt-tls"
    mtu: int = 1500
    topic_bytes: int = 32

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"protocol {self.protocol!r:.40}", expected=", ".join(PROTOCOLS))
        if not 576 <= self.mtu <= 65_535:
            raise ConfigError(f"mtu {self.mtu}", expected="576 to 65535 bytes")
        if not 1 <= self.topic_bytes <= 65_535:
            raise ConfigError(f"topic_bytes {self.topic_bytes}", expected="1 to 65535")


def wire_sql(n: str, link: Link) -> str:
    """The bytes on the wire, both ways, of a message of n bytes, as an SQL expression of doubles
    that are whole numbers: the one formula, which wire_bytes evaluates too.
    """
    if link.protocol == "none":
        return f"({n})"
    if link.protocol == "mqtt-tls":
        rest = f"({n} + {link.topic_bytes + 4})"
        more = " + ".join(f"CAST({rest} > {most} AS DOUBLE)" for most in (127, 16383, 2097151))
        message, answer = f"({rest} + 2 + {more})", _PUBACK + _RECORD + 2 * _SEGMENT
    else:
        message, answer = f"({n} + 4)", 0
    if link.protocol != "tcp":
        message = f"({message} + {_RECORD} * ceil({message} / {_RECORD_BYTES}.0))"
    segments = f"ceil({message} / {link.mtu - _SEGMENT}.0)"
    return f"({message} + {_SEGMENT} * ({segments} + ceil({segments} / 2.0)) + {answer})"


def wire_bytes(n: int, link: Link) -> int:
    """Bytes on the wire, both ways, of a message of n bytes; estimated."""
    if n < 0:
        raise ValueError(n)
    if link.protocol == "none":
        return n
    answer = 0
    if link.protocol == "mqtt-tls":
        rest = n + link.topic_bytes + 4
        message = rest + 2 + (rest > 127) + (rest > 16383) + (rest > 2097151)
        answer = _PUBACK + _RECORD + 2 * _SEGMENT
    else:
        message = n + 4
    if link.protocol != "tcp":
        message += _RECORD * -(-message // _RECORD_BYTES)
    segments = -(-message // (link.mtu - _SEGMENT))
    return message + _SEGMENT * (segments + (segments + 1) // 2) + answer


@dataclass(frozen=True)
class Interval:
    """Some time of one connection, as whoever sends has counted it.

    up_bytes, down_bytes: on the wire; None: not counted, then they are estimated for link.
    """

    device: str
    start_ns: int
    end_ns: int
    name: str = ""
    up_bytes: int | None = None
    down_bytes: int | None = None
    link: Link = Link()


def apportion(
    interval: Interval, packets: Sequence[PacketRow], again: frozenset[int] = frozenset()
) -> tuple[IntervalRow, list[SentRow]]:
    """The rows of an interval in which packets were sent: each bears its part of all wire bytes, by
    its payload; parts are integers that add up (largest remainders first).

    again: which of packets, by place, had been sent before. Raises ConfigError where the bytes
    counted are fewer than what was sent.
    """
    payload = sum(p.payload_bytes for p in packets)
    counted = interval.up_bytes is not None and interval.down_bytes is not None
    kind: WireKind = "measured" if counted else "estimated"
    if counted:
        assert interval.up_bytes is not None
        assert interval.down_bytes is not None
        up, down, formula = interval.up_bytes, interval.down_bytes, ""
        if down < 0 or up < payload or interval.end_ns < interval.start_ns:
            raise ConfigError(
                f"an interval of {interval.end_ns - interval.start_ns} ns with {up} bytes up and "
                f"{down} down",
                expected=f"at least the {payload} bytes up that its packets have",
            )
    else:
        up = sum(wire_bytes(p.payload_bytes, interval.link) for p in packets)
        down, formula = 0, wire_sql("n", interval.link)
    row = IntervalRow(
        interval.device,
        interval.name,
        interval.start_ns,
        interval.end_ns,
        up,
        down,
        kind,
        formula,
        len(packets),
        payload,
    )
    parts = _parts(up + down, [p.payload_bytes for p in packets])
    sent = [
        SentRow(
            p.device,
            p.stream,
            p.time_ns,
            interval.start_ns,
            p.payload_bytes,
            part,
            kind,
            int(i not in again),
        )
        for i, (p, part) in enumerate(zip(packets, parts, strict=True))
    ]
    return row, sent


def _parts(total: int, weights: Sequence[int]) -> list[int]:
    """Total in integers that are as weights; those with the largest remainders get one more."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    parts = [total * w // whole for w in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts
