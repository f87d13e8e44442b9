"""QR codes (ISO/IEC 18004) of short texts, as SVG: what an authenticator app scans.

Bytes, error correction level M, the smallest of versions 1 to 20 that holds the text, and the mask
that scores best by the standard's own penalties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from markupsafe import Markup

# By version, from 1: error correction codewords of a block, and blocks, at level M.
_CHECKS = (10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26)
_BLOCKS = (1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16)
_QUIET = 4  # modules of margin
_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda x, y: (x + y) % 2 == 0,
    lambda _, y: y % 2 == 0,
    lambda x, _: x % 3 == 0,
    lambda x, y: (x + y) % 3 == 0,
    lambda x, y: (x // 3 + y // 2) % 2 == 0,
    lambda x, y: x * y % 2 + x * y % 3 == 0,
    lambda x, y: (x * y % 2 + x * y % 3) % 2 == 0,
    lambda x, y: ((x + y) % 2 + x * y % 3) % 2 == 0,
)
_FINDER_LIKE = ((1, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0), (0, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1))


def picture(text: str) -> Markup:
    """Return a text as an SVG. It stands beside the text, so it has no words of its own.

    Raises: ``ValueError`` for more than 663 bytes.
    """
    grid = modules(text.encode())
    size = len(grid) + 2 * _QUIET
    path = "".join(
        f"M{x + _QUIET} {y + _QUIET}h1v1h-1z"
        for y, row in enumerate(grid)
        for x, is_dark in enumerate(row)
        if is_dark
    )
    return Markup(
        '<svg class="qr" viewBox="0 0 {0} {0}" shape-rendering="crispEdges" role="img"'
        ' aria-label="QR code of the key"><path d="{1}"/></svg>'
    ).format(size, path)


def modules(data: bytes) -> list[list[bool]]:
    """Return the rows of the code, dark modules as true.

    Raises: ``ValueError`` for more than 663 bytes.
    """
    version = _version_for(len(data))
    fixed = _fixed_modules(version)
    words = _interleaved(_padded(data, version), version)
    bits = iter([bool(word >> shift & 1) for word in words for shift in range(7, -1, -1)])
    plain = dict(fixed)
    size = 17 + 4 * version
    for x, y in _zigzag(size):
        if (x, y) not in fixed:
            plain[x, y] = next(bits, False)
    best: list[list[bool]] = []
    least = -1
    for mask, is_turned in enumerate(_MASKS):
        made = [
            [plain[x, y] ^ ((x, y) not in fixed and is_turned(x, y)) for x in range(size)]
            for y in range(size)
        ]
        _write_format(made, mask)
        score = _penalty(made)
        if least < 0 or score < least:
            best, least = made, score
    return best


def _version_for(length: int) -> int:
    for version in range(1, len(_CHECKS) + 1):
        header_bits = 12 if version < 10 else 20
        if length * 8 + header_bits <= _data_words(version) * 8:
            return version
    raise ValueError("The text is too long for a QR code.")


def _data_words(version: int) -> int:
    return _all_words(version) - _CHECKS[version - 1] * _BLOCKS[version - 1]


def _all_words(version: int) -> int:
    found = (16 * version + 128) * version + 64
    if version >= 2:
        aligned = version // 7 + 2
        found -= (25 * aligned - 10) * aligned - 55
        if version >= 7:
            found -= 36
    return found // 8


def _padded(data: bytes, version: int) -> bytes:
    length_bits = 8 if version < 10 else 16
    capacity = _data_words(version) * 8
    bits = f"0100{len(data):0{length_bits}b}" + "".join(f"{byte:08b}" for byte in data)
    bits += "0" * min(4, capacity - len(bits))
    bits += "0" * (-len(bits) % 8)
    words = bytearray(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return bytes(words) + (b"\xec\x11" * capacity)[: capacity // 8 - len(words)]


def _interleaved(data: bytes, version: int) -> list[int]:
    """Return the codewords of all blocks in the order in which they are drawn."""
    count, checks = _BLOCKS[version - 1], _CHECKS[version - 1]
    short = len(data) // count
    longer = len(data) % count  # the last blocks have one word more
    blocks, at = [], 0
    for number in range(count):
        length = short + (number >= count - longer)
        blocks.append(data[at : at + length])
        at += length
    divisor = _divisor(checks)
    ends = [_remainder(block, divisor) for block in blocks]
    drawn = [block[i] for i in range(short + 1) for block in blocks if i < len(block)]
    return drawn + [end[i] for i in range(checks) for end in ends]


def _product(a: int, b: int) -> int:
    """Multiply in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1."""
    found = 0
    for shift in range(7, -1, -1):
        found = (found << 1) ^ ((found >> 7) * 0x11D)
        found ^= (b >> shift & 1) * a
    return found


def _divisor(degree: int) -> list[int]:
    found = [0] * (degree - 1) + [1]
    root = 1
    for _ in range(degree):
        for i in range(degree):
            found[i] = _product(found[i], root)
            if i + 1 < degree:
                found[i] ^= found[i + 1]
        root = _product(root, 2)
    return found


def _remainder(block: bytes, divisor: list[int]) -> list[int]:
    found = [0] * len(divisor)
    for byte in block:
        factor = byte ^ found.pop(0)
        found.append(0)
        for i, coefficient in enumerate(divisor):
            found[i] ^= _product(coefficient, factor)
    return found


def _fixed_modules(version: int) -> dict[tuple[int, int], bool]:
    """Return the modules that hold no data; those of the format are light until it is known."""
    size = 17 + 4 * version
    fixed: dict[tuple[int, int], bool] = {}
    for i in range(size):
        fixed[6, i] = fixed[i, 6] = i % 2 == 0
    for cx, cy in ((3, 3), (size - 4, 3), (3, size - 4)):
        for dx in range(-4, 5):
            for dy in range(-4, 5):
                if 0 <= cx + dx < size and 0 <= cy + dy < size:
                    fixed[cx + dx, cy + dy] = max(abs(dx), abs(dy)) not in (2, 4)
    centres = _alignment_centres(version, size)
    corners = {(6, 6), (6, size - 7), (size - 7, 6)}
    for cx in centres:
        for cy in centres:
            if (cx, cy) not in corners:
                for dx in range(-2, 3):
                    for dy in range(-2, 3):
                        fixed[cx + dx, cy + dy] = max(abs(dx), abs(dy)) != 1
    for x, y, _ in _format_places(size):
        fixed[x, y] = False
    fixed[8, size - 8] = True
    if version >= 7:
        rest = version
        for _ in range(12):
            rest = (rest << 1) ^ ((rest >> 11) * 0x1F25)
        bits = version << 12 | rest
        for i in range(18):
            a, b = size - 11 + i % 3, i // 3
            fixed[a, b] = fixed[b, a] = bool(bits >> i & 1)
    return fixed


def _alignment_centres(version: int, size: int) -> list[int]:
    if version == 1:
        return []
    count = version // 7 + 2
    step = (version * 8 + count * 3 + 5) // (count * 4 - 4) * 2
    return [6, *sorted(size - 7 - i * step for i in range(count - 1))]


def _format_places(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield x, y and which bit, for both copies of the format."""
    for i in range(15):
        if i < 6:
            yield 8, i, i
        elif i < 8:
            yield 8, i + 1, i
        elif i == 8:
            yield 7, 8, i
        else:
            yield 14 - i, 8, i
        if i < 8:
            yield size - 1 - i, 8, i
        else:
            yield 8, size - 15 + i, i


def _write_format(grid: list[list[bool]], mask: int) -> None:
    data = mask  # level M is 00
    rest = data
    for _ in range(10):
        rest = (rest << 1) ^ ((rest >> 9) * 0x537)
    bits = (data << 10 | rest) ^ 0x5412
    for x, y, i in _format_places(len(grid)):
        grid[y][x] = bool(bits >> i & 1)


def _zigzag(size: int) -> Iterator[tuple[int, int]]:
    """Yield the places of data in their order: pairs of columns from the right, up and down."""
    for right in (*range(size - 1, 6, -2), 5, 3, 1):
        is_upward = (right + 1) & 2 == 0
        for step in range(size):
            y = size - 1 - step if is_upward else step
            yield right, y
            yield right - 1, y


def _penalty(grid: list[list[bool]]) -> int:
    size = len(grid)
    found = 0
    for lines in (grid, [list(column) for column in zip(*grid, strict=True)]):
        for line in lines:
            run, before = 0, None
            for module in line:
                run = run + 1 if module == before else 1
                before = module
                found += 3 if run == 5 else int(run > 5)
            whole = tuple(int(module) for module in line)
            found += 40 * sum(whole[i : i + 11] in _FINDER_LIKE for i in range(size - 10))
    for y in range(size - 1):
        for x in range(size - 1):
            square = {grid[y][x], grid[y][x + 1], grid[y + 1][x], grid[y + 1][x + 1]}
            found += 3 * (len(square) == 1)
    dark = sum(map(sum, grid))
    return found + 10 * (abs(dark * 20 - size * size * 10) // (size * size))
