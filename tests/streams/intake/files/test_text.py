from pathlib import Path

import pytest

from streams.intake.files.text import MAX_LINE, FileError, check


def write_bytes(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def test_a_file_is_counted_in_lines_whether_or_not_the_last_one_ends(tmp_path: Path) -> None:
    whole = check(write_bytes(tmp_path / "a", b"one\ntwo\n"), "utf-8")
    cut = check(write_bytes(tmp_path / "b", b"one\ntw"), "utf-8")
    assert (whole.lines, whole.ends_with_line_end) == (2, True)
    assert (cut.lines, cut.ends_with_line_end) == (2, False)


@pytest.mark.parametrize("lines_before", [0, 1, 70_000])
def test_a_windows_file_is_refused_with_the_line_and_the_option_to_add(tmp_path: Path, lines_before: int) -> None:
    path = write_bytes(tmp_path / "a", b"caf\xc3\xa9\n" * lines_before + b"caf\xe9 au lait\n")
    with pytest.raises(FileError, match=rf"line {lines_before + 1}, is not UTF-8 .*0xe9.* --encoding cp1252"):
        check(path, "utf-8")
    assert check(path, "cp1252").lines == lines_before + 1


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = check(write_bytes(tmp_path / "a", b"\xef\xbb\xbfone\n"), "UTF8")
    with file.open(newline="") as lines:
        assert next(lines) == "one\n"


def test_a_utf_16_file_is_named_as_such(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a", "one\ntwo\n".encode("utf-16"))
    with pytest.raises(FileError, match=r"is UTF-16, not UTF-8; add --encoding utf-16"):
        check(path, "utf-8")
    assert check(path, "utf-16").lines == 2


def test_a_file_that_ends_within_a_character_is_not_its_encoding(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"line 2, is not UTF-8"):
        check(write_bytes(tmp_path / "a", b"one\ncaf\xc3"), "utf-8")


def test_what_is_no_file_of_text_is_refused_with_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a directory"):
        check(tmp_path, "utf-8")
    with pytest.raises(FileError, match="cannot be read: No such file"):
        check(tmp_path / "none", "utf-8")
    with pytest.raises(FileError, match="is not a regular file"):
        check(Path("/dev/null"), "utf-8")
    with pytest.raises(FileError, match="is empty"):
        check(write_bytes(tmp_path / "empty", b""), "utf-8")
    with pytest.raises(FileError, match=r"line 2, is longer than .* is this a text file"):
        check(write_bytes(tmp_path / "long", b"x\n" + b"x" * (MAX_LINE + 1)), "utf-8")


def test_a_file_that_changes_after_it_was_checked_is_noticed(tmp_path: Path) -> None:
    file = check(write_bytes(tmp_path / "a", b"one\n"), "utf-8")
    file.check_unchanged()
    file.path.write_bytes(b"one\ntwo\n")
    with pytest.raises(FileError, match="changed while it was being imported"):
        file.check_unchanged()
