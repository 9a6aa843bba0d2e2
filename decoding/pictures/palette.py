"""Colours, by what they mean. Every role is legible on light and on dark paper (contrast of text at least 4.5 : 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LIGHT: Final[Mapping[str, str]] = {
    "paper": "#ffffff",
    "wash": "#eef2f7",
    "line": "#d5dbe3",
    "lost": "#aeb7c3",
    "soft": "#5d6875",
    "ink": "#1b2129",
    "accent": "#2a66d1",
    "second": "#a85004",
    "third": "#14794a",
    "fourth": "#9440bf",
}
DARK: Final[Mapping[str, str]] = {
    "paper": "#12161c",
    "wash": "#1f2731",
    "line": "#323b47",
    "lost": "#5b6674",
    "soft": "#9ba7b6",
    "ink": "#e7ecf2",
    "accent": "#73abff",
    "second": "#ffa657",
    "third": "#4fc68d",
    "fourth": "#d3a9ff",
}
SANS: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MONO: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
