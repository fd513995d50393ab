"""What a case's end means, and the tables of a run."""

from __future__ import annotations

import re
import signal
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fuzzing.process import MEMORY_LIMIT, Ended

FAILURES = ("foreign", "crash", "hang", "memory", "untold", "escape", "leftover", "fuzzer")
"""Verdicts that fail a run; the others are `done`, `told`, `partly` and `noise`."""
VERDICTS = ("done", "told", "partly", "noise", *FAILURES)

_NATIVE = re.compile(
    rb"@ 0x[0-9a-f]+\]|^\[\d\d:\d\d:\d\d\] |[a-z]Warning: |^Exception ignored", re.MULTILINE
)
_USAGE = re.compile(rb"^stdet(?: [a-z]+)*: error: ")


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Attributes:
        kind: One of ``VERDICTS``.
        group: What failures of one cause share.
        detail: One line on this case.
    """

    kind: str
    group: str = ""
    detail: str = ""


def judge(ended: Ended) -> Verdict:
    """Say what an end means."""
    last = ended.err.rstrip().rsplit(b"\n", 1)[-1][:300].decode("utf-8", "replace")
    if ended.code == 70 or not ended.argv:
        return Verdict("fuzzer", "a fault of the fuzzer, before the command", last)
    if ended.peak_bytes > MEMORY_LIMIT and not ended.stopped:
        return Verdict("memory", "memory before it ended by itself", last)
    if ended.stopped:
        kind = "hang" if ended.stopped == "time" else "memory"
        return Verdict(kind, f"{kind} in {_stack_place(ended.err)}", last)
    if ended.signal:
        name = signal.Signals(ended.signal).name
        return Verdict("crash", name, last)
    if ended.error is not None:
        error = ended.error
        group = f"{error['type']} at {error['place']}"
        return Verdict("foreign", group, f"{error['message']} ({error['inner']})")
    return _judge_orderly(ended, last)


def _judge_orderly(ended: Ended, last: str) -> Verdict:
    lines = ended.err.splitlines()
    own = [line for line in lines if line.startswith(b"stdet: ")]
    if b"Traceback (most recent call last)" in ended.err:
        return Verdict("untold", f"traceback with exit code {ended.code}", last)
    if ended.code == 2:
        is_told = bool(lines) and (lines[-1:] == own or bool(_USAGE.match(lines[-1])))
    elif ended.code == 3:
        is_told = len(own) == 1 or "data" in ended.argv[:1]
    else:
        is_told = ended.code == 0
    if not is_told:
        return Verdict("untold", f"exit code {ended.code} without its one line", last)
    if b"\x1b" in ended.out + ended.err:
        return Verdict("escape", "an escape sequence is printed as it is", last)
    if ended.left:
        return Verdict("leftover", "left after an orderly end", ", ".join(ended.left))
    if _NATIVE.search(ended.err):
        noise = next(line for line in lines if _NATIVE.search(line))
        text = re.sub(r"0x[0-9a-f]+|\d+", "N", noise.decode("utf-8", "replace"))
        return Verdict("noise", text[:100], noise[:300].decode("utf-8", "replace"))
    return Verdict({0: "done", 2: "told"}.get(ended.code or 0, "partly"))


def _stack_place(err: bytes) -> str:
    """Return the innermost place of ours in the stack that faulthandler wrote."""
    frames = re.findall(rb'File "[^"]*/stdet/([^"]+)", line (\d+) in (\S+)', err)
    if not frames:
        return "no Python of ours"
    path, line, name = (part.decode() for part in frames[0])
    return f"{path}:{line} {name}"


@dataclass(frozen=True)
class Finding:
    """A failed case."""

    number: int
    entry: str
    verdict: Verdict


def render_table(counts: dict[str, Counter[str]]) -> str:
    """Return the verdicts by entry point as text."""
    total: Counter[str] = Counter()
    for row in counts.values():
        total += row
    kinds = [kind for kind in VERDICTS if total[kind] or kind in ("foreign", "hang", "memory")]
    lines = [f"{'entry':<24}{'cases':>8}" + "".join(f"{kind:>10}" for kind in kinds)]
    for name, row in [*sorted(counts.items()), ("all", total)]:
        cells = "".join(f"{row[kind] or '-':>10}" for kind in kinds)
        lines.append(f"{name:<24}{sum(row.values()):>8}{cells}")
    return "\n".join(lines)


def group_findings(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return findings of one cause together, the commonest first."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.verdict.kind, finding.verdict.group].append(finding)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0].number))


def render_groups(groups: Sequence[Sequence[Finding]], seed: int) -> str:
    """Return the groups with one example each as text."""
    blocks = []
    for group in groups:
        first = group[0]
        entries = ", ".join(sorted({finding.entry for finding in group}))
        blocks.append(
            f"{len(group):>4} x {first.verdict.kind}: {first.verdict.group}\n"
            f"       {first.verdict.detail}\n"
            f"       in {entries}; python benchmarks/fuzz.py --seed {seed} --case {first.number}"
        )
    return "\n".join(blocks)
