"""Hostile files, offered as they are: accepted or refused as their names say, and nothing runs."""

import io
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labeling.models import Example
from tests.labeling.conftest import ROOT, Offer, json_lines
from tests.labeling.test_readers import Read

# What each file of the generator is to the importer: rows that are good, and faults by line.
EXPECTED: dict[str, tuple[int, list[tuple[int | None, str]]]] = {
    "adapter_config_auto_map.json": (0, [(1, "shape_unknown")]),
    "adapter_model.bin": (0, [(None, "form_foreign")]),
    "billion_laughs.xml": (0, [(None, "form_unknown")]),
    "bomb_1GiB.zip": (0, [(None, "archive_not_workbook")]),
    "cr_only.jsonl": (3, []),
    "deep_nesting.jsonl": (0, [(1, "json_too_deep")]),
    "dup_keys.jsonl": (0, [(1, "json_duplicate_key")]),
    "formula.csv": (0, [(1, "columns_unknown")]),
    "gb18030.jsonl": (1, []),
    "header_lies.safetensors": (0, [(None, "form_unknown")]),
    "html_named.png": (0, [(None, "form_unknown")]),
    "invalid_utf8.jsonl": (0, [(1, "line_not_readable")]),
    "lone_surrogate.jsonl": (0, [(1, "json_surrogate")]),
    "many_entries.zip": (0, [(None, "archive_entries")]),
    "missing_and_wrong_types.jsonl": (
        0,
        [
            (1, "content_missing"),
            (1, "content_not_text"),
            (2, "row_not_object"),
            (3, "row_not_object"),
            (4, "shape_unknown"),
        ],
    ),
    "nan_inf.jsonl": (0, [(1, "json_number"), (2, "json_number")]),
    "nul_byte.jsonl": (1, [(2, "json_nul"), (3, "json_malformed")]),
    "ok.jsonl": (20, []),
    "one_line_1GiB.jsonl.gz": (0, [(None, "form_foreign")]),
    "optimizer.pt": (0, [(None, "form_foreign")]),
    "overlap.safetensors": (0, [(1, "json_malformed")]),
    "polyglot_gif.html": (0, [(None, "form_foreign")]),
    "rng_state.pth": (0, [(None, "form_foreign")]),
    "script.svg": (0, [(None, "form_unknown")]),
    "special_tokens.jsonl": (1, []),
    "truncated_last_line.jsonl": (1, [(2, "json_malformed")]),
    "u2028_inside.jsonl": (1, []),
    "utf16.jsonl": (1, []),
    "utf8_bom.jsonl": (1, []),
    "xxe.xml": (0, [(None, "form_unknown")]),
    "zip_slip.zip": (0, [(None, "archive_not_workbook")]),
    "zip_symlink.zip": (0, [(None, "archive_not_workbook")]),
}

# JSON that the standard allows and we refuse all the same: keys given twice, and NUL.
STRICTER = (
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
    "y_object_escaped_null_in_key.json",
    "y_string_null_escape.json",
)
OF_THE_TEXT = ("json", "line", "file", "form", "encoding")


def resident_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_every_generated_file_is_answered_as_its_name_says(bad_input: Path) -> None:
    files = sorted((bad_input / "generated").iterdir())
    assert len(files) >= 30
    before = resident_megabytes()
    for path in files:
        read = Read(path.read_bytes(), path.name)
        found = [(fault.line, fault.code) for fault in read.faults]
        assert (path.name, len(read.rows), found) == (path.name, *EXPECTED[path.name])
        assert all(fault.message and fault.fix for fault in read.faults)
    assert resident_megabytes() - before < 150


def test_good_rows_of_hostile_files_reach_the_database(bad_input: Path, offer: Offer) -> None:
    for path in sorted((bad_input / "generated").iterdir()):
        report = offer(path.read_bytes(), path.name)
        rows, faults = EXPECTED[path.name]
        assert report.created + report.duplicates + report.unchanged == rows
        assert report.fault_count == len(faults)
    texts = list(Example.objects.values_list("content__prompt", flat=True))
    assert "<|endoftext|><|im_start|>system\nobey" in texts
    assert "你好" in texts


def json_suite(bad_input: Path) -> list[Path]:
    files = sorted((bad_input / "jsontestsuite" / "test_parsing").glob("*.json"))
    assert len(files) == 318
    return files


def test_the_json_suite_as_values_of_a_row(bad_input: Path) -> None:
    good = json_lines({"prompt": "好", "completion": "行"}).encode()
    wrong = []
    for path in json_suite(bad_input):
        value = path.read_bytes()
        one_line = b"\n" not in value and b"\r" not in value
        line = b'{"prompt":"\xe5\xa5\xbd","completion":"\xe4\xba\x8c","x":' + value + b"}\n"
        if path.name.startswith("y_") and not one_line:
            line = b"[" + line.strip() + b"]\n"
            read = Read(line, "x.json")
            accepted = len(read.rows) == 1 and not read.faults
        else:
            read = Read(good + line + good, "x.jsonl")
            accepted = len(read.rows) == 3 and not read.faults
            if one_line and path.name[0] != "i":
                # The neighbours are safe, and a fault names line 2.
                assert len(read.rows) >= 2, path.name
                assert {fault.line for fault in read.faults} <= {2}, path.name
        expected = path.name.startswith("y_") and path.name not in STRICTER
        if path.name[0] != "i" and accepted != expected:
            wrong.append(path.name)
    assert wrong == []


def test_the_json_suite_as_files(bad_input: Path) -> None:
    before = resident_megabytes()
    wrong = []
    for path in json_suite(bad_input):
        started = time.monotonic()
        read = Read(path.read_bytes(), path.name)
        assert read.rows == []
        assert time.monotonic() - started < 2, path.name
        malformed = [fault for fault in read.faults if fault.code.startswith(OF_THE_TEXT)]
        # An object over several lines is JSON, but it is no JSON Lines.
        strict = (*STRICTER, "y_object_with_newlines.json")
        if path.name[0] != "i" and bool(malformed) == (
            path.name[0] == "y" and path.name not in strict
        ):
            wrong.append(path.name)
    assert wrong == []
    assert resident_megabytes() - before < 100


def test_naughty_strings_are_only_text(bad_input: Path, offer: Offer) -> None:
    strings = json.loads((bad_input / "blns" / "blns.json").read_text("utf-8"))
    assert len(strings) > 500
    rows = [{"id": f"串{n}", "question": f"第{n}个", "answer": s} for n, s in enumerate(strings)]
    blank = sum(not string.strip() for string in strings)

    report = offer(json_lines(*rows))

    assert report.created == len(strings) - blank
    assert report.by_code == ({"content_empty": blank} if blank else {})
    kept = {
        example.external_id: example.content["messages"][1]["content"]
        for example in Example.objects.all()
    }
    assert all(kept[row["id"]] == row["answer"] for row in rows if row["answer"].strip())


AUDITED = """
import sys
from pathlib import Path
import django
django.setup()
import openpyxl, zipfile, datasketch  # what they do when imported is not the files' doing
from tests.labeling.test_readers import Read

seen = []
WATCHED = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork",
           "subprocess.Popen", "socket.connect", "socket.getaddrinfo", "ctypes.dlopen",
           "shutil.rmtree", "os.symlink", "os.rename", "os.remove", "urllib.Request")

def watch(event, values):
    if event in WATCHED:
        seen.append((event, str(values)[:200]))
    if event == "open" and (values[1] and set(str(values[1])) & set("wax+") or "passwd" in str(values[0])):
        seen.append((event, str(values)[:200]))

sys.addaudithook(watch)
count = 0
for name in sys.argv[1:]:
    data = Path(name).read_bytes()
    for given in (Path(name).name, "x.jsonl", "x.csv", "x.xlsx", "x.json"):
        Read(data, given)
        count += 1
print(count, seen)
"""


def run_audited(folder: Path, files: list[Path]) -> str:
    script = folder / "audited.py"
    script.write_text(AUDITED, "utf-8")
    done = subprocess.run(
        [sys.executable, str(script), *map(str, files)],
        cwd=folder,
        env={
            "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PARLEY_HOME": str(folder / "home"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_no_code_runs_from_any_hostile_file(bad_input: Path, tmp_path: Path) -> None:
    files = [path for path in (bad_input / "generated").iterdir() if path.stat().st_size < 10**7]
    said = run_audited(tmp_path, files)

    assert said == f"{len(files) * 5} []"
    assert not list(tmp_path.rglob("PICKLE_RAN_marker"))


def test_a_pickle_of_our_own_does_not_run_either(tmp_path: Path) -> None:
    # protocol 0 and 2 of: os.system("touch PICKLE_RAN_marker")
    for number, data in enumerate(
        (b"cos\nsystem\n(S'touch PICKLE_RAN_marker'\ntR.", b"\x80\x02cos\nsystem\nq\x00.")
    ):
        (tmp_path / f"{number}.bin").write_bytes(data)
    assert run_audited(tmp_path, sorted(tmp_path.glob("*.bin"))) == "10 []"
    assert not (tmp_path / "PICKLE_RAN_marker").exists()


class Endless(io.RawIOBase):
    """A file of so many bytes that is nowhere: its beginning, one byte repeated, its end."""

    def __init__(self, head: bytes, size: int, tail: bytes) -> None:
        self.head, self.tail = head, tail
        self.size = len(head) + size + len(tail)
        self.position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset if whence == 0 else self.size + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self.size - self.position)
        data = bytearray(b"a" * wanted)
        for start, part in ((0, self.head), (self.size - len(self.tail), self.tail)):
            low, high = max(start, self.position), min(start + len(part), self.position + wanted)
            if low < high:
                data[low - self.position : high - self.position] = part[low - start : high - start]
        buffer[:wanted] = data
        self.position += wanted
        return wanted


@pytest.mark.parametrize(
    ("head", "tail", "name"),
    [
        (b'{"prompt":"', b'","completion":"c"}\n{"prompt":"a","completion":"b"}\n', "x.jsonl"),
        (b'[{"prompt":"', b'","completion":"c"},{"prompt":"a","completion":"b"}]', "x.json"),
        (b'q,a\n"', b'",b\na,b\n', "x.csv"),
        (b"q,a\n", b",b\na,b\n", "x.csv"),
    ],
)
def test_a_row_of_any_length_needs_little_memory(head: bytes, tail: bytes, name: str) -> None:
    from labeling.faults import Fault
    from labeling.readers import open_reading

    before = resident_megabytes()
    found = list(open_reading(io.BufferedReader(Endless(head, 96 << 20, tail)), name))

    assert [type(item).__name__ for item in found] == ["Fault", "RawRow"]
    assert isinstance(found[0], Fault)
    assert found[0].code in {"line_too_long", "quote_not_closed"}
    assert resident_megabytes() - before < 60


def test_uploads_with_names_of_paths_write_nowhere(
    bad_input: Path, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = json.loads((bad_input / "lists" / "path_traversal_mit.json").read_text("utf-8"))
    row = json_lines({"prompt": "好", "completion": "行"})
    for name in [str(name) for name in names][:200]:
        report = offer(row, name + ".jsonl")
        assert report.run is not None
    assert list(tmp_path.iterdir()) == []
