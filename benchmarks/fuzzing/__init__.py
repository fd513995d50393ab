"""Parts of the fuzzer ``benchmarks/fuzz.py``: seeds, changes, processes and verdicts."""
