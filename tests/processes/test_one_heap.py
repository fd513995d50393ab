import platform
import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
import numpy as np
from stdet.processes.one_heap import use_one_heap

if sys.argv[1] == "one":
    use_one_heap()
together = threading.Barrier(3)

def work():
    arrays = [np.ones(1000) for _ in range(100)]
    together.wait(20)
    return arrays

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
starts = [int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "rw-p" in line]
# A heap of glibc's threads begins at a multiple of its largest size.
print(sum(start % (64 << 20) == 0 for start in starts))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have one heap")
def test_threads_have_one_heap():
    counts = [
        int(subprocess.check_output([sys.executable, "-c", PROGRAM, heaps], text=True))
        for heaps in ("many", "one")
    ]
    assert counts[0] >= 1
    assert counts[1] == 0
