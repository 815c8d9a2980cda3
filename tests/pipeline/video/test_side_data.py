"""How a picture is turned, whatever else it carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import av
import films
import pytest

from pipeline.video.side_data import matrix_of, rotation_of


class Unlisted:
    """A frame with something beside its pixels that PyAV has no name for."""

    def __init__(self, rotation: int) -> None:
        self.rotation = rotation

    @property
    def side_data(self) -> object:
        raise ValueError("31 is not a valid Type")


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_a_frame_is_turned_alike_where_pyav_cannot_list_what_it_carries(
    degrees: int, tmp_path: Path
) -> None:
    path = films.write_film(tmp_path / "film.mp4", codec="libx264", rotation=degrees)
    listed = films.frames_of(path)[0]
    unlisted = cast(av.VideoFrame, cast(Any, Unlisted(listed.rotation)))
    assert matrix_of(unlisted) == matrix_of(listed)
    assert rotation_of(matrix_of(unlisted)) == rotation_of(matrix_of(listed))
    assert (matrix_of(listed) is None) == (degrees == 0)
