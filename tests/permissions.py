"""Files and folders that may not be read, for tests that run as root too."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NOBODY = 65534


@contextlib.contextmanager
def unprivileged_folder() -> Iterator[Path]:
    """Run the block without root's privileges, in a new folder that it owns.

    Root may read everything. pytest's own folders are closed to other users.
    """
    folder = Path(tempfile.mkdtemp()).resolve()
    before, user = Path.cwd(), os.geteuid()
    os.chdir(folder)
    try:
        if user == 0:
            os.chown(folder, _NOBODY, -1)
            os.seteuid(_NOBODY)
        yield folder
    finally:
        os.seteuid(user)
        os.chdir(before)
        # Only root removes what is locked; other users unlock it first.
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(folder)
