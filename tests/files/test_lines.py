"""Laws of lines: they end at LF, CR LF and CR, wherever the file is cut while it is read, and nowhere else."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_embeddings.files import lines
from hf_embeddings.files.lines import ENDS, line_pieces, with_lone_returns_as_ends, with_plain_ends, without_end

TEXTS = st.text(alphabet="ab\r\n\u2028\u2029\x85\x0b\x0c\x1c", max_size=40)


def whole(content: bytes, buffer: int) -> list[bytes]:
    """Return the lines of bytes, each with its end."""
    found, line = [], b""
    for piece in line_pieces(io.BufferedReader(io.BytesIO(content), buffer)):  # type: ignore[arg-type]
        line += piece
        if line.endswith(ENDS):
            found.append(line)
            line = b""
    return [*found, line] if line else found


@given(TEXTS, st.integers(1, 5), st.integers(1, 5))
def test_lines_end_at_lf_cr_lf_and_cr_wherever_the_file_is_cut(text: str, size: int, buffer: int) -> None:
    text = re.sub("\r{3,}", "\r", text)  # of more than two before a line feed, some are ends of their own
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "PIECE_BYTES", size)
        found = whole(text.encode(), buffer)
    assert b"".join(found) == text.encode()
    expected = re.split("\r\r?\n|\r|\n", text)
    assert [without_end(line).decode() for line in found] == (expected if expected[-1] else expected[:-1])
    assert with_plain_ends(text).split("\n") == expected


@given(TEXTS)
def test_ends_are_made_plain_without_moving_anything(text: str) -> None:
    plain = with_lone_returns_as_ends(text)
    assert len(plain) == len(text) and re.sub("\r\r?(?=\n)", "", plain).count("\n") == with_plain_ends(text).count("\n")
