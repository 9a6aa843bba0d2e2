"""`scansion warm`: compile the kernels."""

from __future__ import annotations

import time

from decoding.terminal import console


def warm() -> None:
    """Compile every kernel now, so that the first grammar does not have to wait for it."""
    begin = time.perf_counter()
    with console.status("compiling kernels"):
        from grammars.warming import warm as compile_kernels

        compile_kernels()
    console.print(f"kernels ready in {time.perf_counter() - begin:.1f} s")
