"""QR codes, read back by the rules of the standard and not by those that drew them."""

from __future__ import annotations

import pytest

from reentra.web import qr

# The fifteen bits of level M with each mask, as the standard lists them.
FORMATS = {0: 0b101010000010010, 1: 0b101000100100101, 2: 0b101111001111100, 3: 0b101101101001011,
           4: 0b100010111111001, 5: 0b100000011001110, 6: 0b100111110010111,
           7: 0b100101010100000}  # fmt: skip


@pytest.mark.parametrize("length", [1, 14, 15, 62, 63, 90, 180, 181, 400, 663])
def test_the_size_the_finders_and_the_format_are_those_of_the_standard(length: int) -> None:
    grid = qr.modules(b"x" * length)
    size = len(grid)
    assert (size - 17) % 4 == 0
    for left, top in ((0, 0), (size - 7, 0), (0, size - 7)):
        rings = [[grid[top + y][left + x] for x in range(7)] for y in range(7)]
        assert rings == [[max(abs(x - 3), abs(y - 3)) != 2 for x in range(7)] for y in range(7)]
    first = [grid[i][8] for i in (0, 1, 2, 3, 4, 5, 7, 8)] + [
        grid[8][x] for x in (7, 5, 4, 3, 2, 1, 0)
    ]
    value = sum(bit << i for i, bit in enumerate(first))
    assert value in FORMATS.values()
    second = [grid[8][size - 1 - i] for i in range(8)] + [grid[size - 7 + i][8] for i in range(7)]
    assert second == first
    assert grid[size - 8][8]


def test_what_is_drawn_says_the_text_when_it_is_read_along_its_way() -> None:
    text = b"otpauth://totp/x"
    grid = qr.modules(text)
    assert len(grid) == 25  # version 2
    format_bits = sum(grid[i][8] << n for n, i in enumerate((0, 1, 2, 3, 4, 5, 7, 8))) + sum(
        grid[8][x] << (n + 8) for n, x in enumerate((7, 5, 4, 3, 2, 1, 0))
    )
    mask = next(name for name, bits in FORMATS.items() if bits == format_bits)
    turned = qr._MASKS[mask]
    bits = []
    columns = [(x, x - 1) for x in (24, 22, 20, 18, 16, 14, 12, 10, 8, 5, 3, 1)]
    for number, pair in enumerate(columns):
        for y in range(24, -1, -1) if number % 2 == 0 else range(25):
            for x in pair:
                is_finder = (x < 9 and y < 9) or (x > 16 and y < 9) or (x < 9 and y > 16)
                is_aligned = 16 <= x <= 20 and 16 <= y <= 20
                if not (is_finder or is_aligned or x == 6 or y == 6):
                    bits.append(grid[y][x] ^ turned(x, y))
    words = bytes(
        sum(bit << (7 - n) for n, bit in enumerate(bits[at : at + 8])) for at in range(0, 352, 8)
    )
    as_bits = "".join(f"{word:08b}" for word in words)
    assert as_bits[:4] == "0100"
    length = int(as_bits[4:12], 2)
    said = bytes(int(as_bits[12 + 8 * i : 20 + 8 * i], 2) for i in range(length))
    assert said == text


def test_what_is_too_long_is_no_code() -> None:
    with pytest.raises(ValueError, match="too long"):
        qr.modules(b"x" * 667)
