"""What decoders say besides their errors."""

from __future__ import annotations

import threading
import warnings

from pipeline.imaging.errors import decoding


def test_threads_that_decode_at_once_leave_pythons_warnings_as_they_were() -> None:
    before = list(warnings.filters)
    first_decodes, both_decode, first_is_done = (threading.Event() for _ in range(3))
    silent = []

    def first() -> None:
        with decoding():
            first_decodes.set()
            both_decode.wait(10)
        first_is_done.set()

    def second() -> None:
        first_decodes.wait(10)
        with decoding():
            both_decode.set()
            first_is_done.wait(10)
            silent.append(warnings.filters[0][0] == "ignore")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert silent == [True]
    assert warnings.filters == before
