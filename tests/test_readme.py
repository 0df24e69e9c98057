"""What the README promises exists."""

import re
from pathlib import Path

from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_management_command_exists() -> None:
    named = set(re.findall(r"manage\.py (\w+)", README))
    assert len(named) > 4
    assert named <= set(get_commands())


def test_the_tree_it_draws_is_the_tree_that_stands() -> None:
    block = README.split("## The tree")[1].split("```")[1]
    parents: list[str] = []
    drawn = []
    for line in block.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.findall(r"(?:^|\s)((?:\w+/)+)(?=\s)", line):
            parents = [*parents[:depth], name]
            drawn.append("".join(parents))
    assert len(drawn) > 10
    assert [place for place in drawn if not (ROOT / place).is_dir()] == []


def test_every_file_it_names_exists() -> None:
    pictures = re.findall(r"\((static/[^)]+)\)", README)
    files = re.findall(r"`((?:docker|tests)/[\w./-]+|[A-Z]+\.md|\.env\.example)`", README)
    assert pictures
    assert files
    assert [place for place in [*pictures, *files] if not (ROOT / place).exists()] == []


def test_every_benchmark_exists() -> None:
    for name in re.findall(r"benchmarks\.([a-z_]+)", README):
        assert (ROOT / "benchmarks" / f"{name}.py").exists(), name
