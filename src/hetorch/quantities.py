"""Quantities in messages and tables: sizes in bytes, times and counted nouns, each written in one way everywhere."""

from __future__ import annotations

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size_text(size: float) -> str:
    """Return a number of bytes with three digits in decimal units, such as "1.25 MB" or "17 bytes"."""
    value, unit = float(size), 0
    # 999.5 would be rounded to 1000.
    while abs(value) >= 999.5 and unit < len(UNITS) - 1:
        value /= 1000
        unit += 1
    if unit == 0:
        return count_text(round(value), "byte")
    return f"{value:,.0f} {UNITS[unit]}" if abs(value) >= 999.5 else f"{value:.3g} {UNITS[unit]}"


def exact_size_text(size: int) -> str:
    """Return a number of bytes as size_text does, with all of its digits behind: "1.25 MB (1250017 bytes)". For limits,
    which a size may miss by a byte."""
    return size_text(size) if size < 1000 else f"{size_text(size)} ({size} bytes)"


def time_text(seconds: float) -> str:
    """Return a time with three digits, such as "1.25 s" or "17 ms"; "-" if there is none."""
    if seconds <= 0:
        return "-"
    return f"{1e3 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """Return a counted noun: "1 level", "2 levels".

    `plural` is the plural of a noun to which no s can be added.
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
