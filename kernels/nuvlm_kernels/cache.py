"""Compiled kernels on disk are thrown away when any kernel's source has changed.

numba keeps a compiled function as long as its own file is unchanged, and looks at no file that it calls into: after an
edit, or a pull into a checkout that is installed in place, old code would run inside of new.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

STAMP_NAME = "sources.sha256"


def drop_stale(folder: Path | None = None) -> int:
    """Compare the sources in `folder` (this package) with those last seen; the number of compiled files removed.

    Numba opens them at the first call of a kernel, so this works any time before. A folder that cannot be written is
    left alone: numba keeps its files elsewhere then, and an installer gives every source a new time.
    """
    folder = Path(__file__).parent if folder is None else folder
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    stamp, removed = folder / "__pycache__" / STAMP_NAME, 0
    with suppress(OSError):
        if stamp.is_file() and stamp.read_text() == digest.hexdigest():
            return 0
        for compiled in [*stamp.parent.glob("*.nbi"), *stamp.parent.glob("*.nbc")]:
            compiled.unlink(missing_ok=True)
            removed += 1
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())
    return removed
