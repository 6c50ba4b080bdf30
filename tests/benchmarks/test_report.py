"""What was measured, as people read it."""

from __future__ import annotations

from benchmarks.ratios import Ratio, Target
from benchmarks.report import Row, Topic, page, told

MET = Row("client()", "a lookup", Ratio((2.0,) * 9), Target(6))
MISSED = Row("throughput", "bare SDK", Ratio((1.2,) * 9), Target(1.4, at_most=False))
TOPIC = Topic("Calls", "in microseconds", [MET, MISSED], ("call", "took"), [("client()", "0.1")])


def test_a_terminal_is_told_every_row_and_verdict() -> None:
    """Columns are aligned, and each target stands beside its verdict."""
    lines = told([TOPIC]).splitlines()
    assert ["Calls: in microseconds", "", "  call      took", "  client()   0.1", ""] == lines[:5]
    assert ["met", "missed"] == [line.split()[-1] for line in lines[-2:]]
    assert 1 == len({len(line) for line in lines[-3:]})


def test_a_page_has_all_rows_and_the_machine() -> None:
    """Verdicts are counted, figures follow by topic, and the machine is at the end."""
    found = page([TOPIC], {"Python": "3.11.7"}, "make bench BENCH_ARGS=--write")
    assert "| throughput | bare SDK | 1.2x | 1.2x .. 1.2x | at least 1.4x | missed |" in found
    assert "1 met, 1 missed, 0 undecided." in found
    assert "| call | took |\n| --- | --- |\n| client() | 0.1 |\n" in found
    assert "`make bench BENCH_ARGS=--write`" in found
    assert found.endswith("| Python | 3.11.7 |\n")


def test_every_round_is_kept() -> None:
    """What a ratio was made from can be read again."""
    found = TOPIC.as_dict()["rows"][0]
    assert ((2.0,) * 9, "met") == (found["rounds"], found["verdict"])
