"""RLP to nested lists of bytes and back: what the input maker needs to take a block apart.

Not a codec for use outside these tests: canonical form is not enforced, since the fixtures hold broken blocks on
purpose and a block that does not decode is left out.
"""

from __future__ import annotations

Item = bytes | list["Item"]


def _long(length: int) -> bytes:
    return length.to_bytes((length.bit_length() + 7) // 8, "big")


def encode(item: Item) -> bytes:
    """Encode bytes or a nested list of bytes."""
    if isinstance(item, list):
        payload, short, long = b"".join(encode(part) for part in item), 0xC0, 0xF7
    elif len(item) == 1 and item[0] < 0x80:
        return item
    else:
        payload, short, long = item, 0x80, 0xB7
    if len(payload) < 56:
        return bytes([short + len(payload)]) + payload
    size = _long(len(payload))
    return bytes([long + len(size)]) + size + payload


def decode(data: bytes) -> Item:
    """Decode one item that fills `data`; ValueError otherwise."""
    item, end = _decode_at(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes after the item")
    return item


def _span(data: bytes, at: int) -> tuple[bool, int, int]:
    """Is it a list, where does its payload begin, where does it end."""
    prefix = data[at]
    if prefix < 0x80:
        return False, at, at + 1
    is_list = prefix >= 0xC0
    length = prefix - (0xC0 if is_list else 0x80)
    start = at + 1
    if length > 55:
        size = length - 55
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    return is_list, start, start + length


def _decode_at(data: bytes, at: int) -> tuple[Item, int]:
    if at >= len(data):
        raise ValueError("item is missing")
    is_list, start, end = _span(data, at)
    if end > len(data):
        raise ValueError("item runs past the end")
    if not is_list:
        return data[start:end], end
    items: list[Item] = []
    while start < end:
        part, start = _decode_at(data, start)
        items.append(part)
    if start != end:
        raise ValueError("list ends inside an item")
    return items, end
