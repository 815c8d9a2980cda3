import subprocess
import sys

CODE = """
import resource, sys
import numpy as np
from pipeline.files.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory(1 << 26)
np.zeros(4_000_000, np.uint8) + 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.zeros(4_000_000, np.uint8) + 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CODE, mode], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def test_kept_memory_is_not_fetched_from_the_system_again() -> None:
    assert page_faults("kept") < page_faults("freed") / 10
