"""Time codes of films, as SMPTE ST 12-1 writes them: hours, minutes, seconds and frames."""

from __future__ import annotations

import math
import re
from fractions import Fraction

_CODE = re.compile(r"(\d+):(\d+):(\d+)([:;.])(\d+)")


def later(code: str, seconds: Fraction, rate: Fraction) -> str:
    """Return the time code of the first frame that is ``seconds`` or more after that of ``code``.

    What is no time code comes back as it is. Codes whose frames stand behind a semicolon leave out
    the numbers of two frames each minute but every tenth, of four at 60 frames per second, because
    a second of 29.97 frames is counted as 30.
    """
    match = _CODE.fullmatch(code)
    if match is None:
        return code
    hours, minutes, rest, frames = (int(match[part]) for part in (1, 2, 3, 5))
    mark, counted = match[4], max(round(rate), 1)
    left_out = 0 if mark == ":" else counted // 15
    minutes += 60 * hours
    number = (60 * minutes + rest) * counted + frames - left_out * (minutes - minutes // 10)
    number += math.ceil(seconds * rate)
    if left_out:
        ten = 600 * counted - 9 * left_out
        tens, within = divmod(number, ten)
        number += left_out * (9 * tens + max(within - left_out, 0) // (60 * counted - left_out))
    whole, frames = divmod(number, counted)
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}:{rest:02}{mark}{frames:02}"
