"""Files that somebody may have: any bytes, damaged copies of valid ones, tables of odd cells."""

from hypothesis import strategies as st

PIECES = (
    *(b"\n", b"\r", b"\t", b" ", b",", b";", b":", b'"', b"'", b"\0", b"\xff", b"\xc3\x28", b"\xef\xbb\xbf"),
    *(
        b"nan",
        b"inf",
        b"1e400",
        b"-1e30",
        b"9" * 40,
        b"1.5",
        b"-",
        b"token",
        b"float",
        b"float_seq",
        b"token_seq",
    ),
    *(b"{", b"]", b"[[", b"null", b"\\", b"\\u0000", b"PAR1", b"\x93NUMPY", b"PK\x03\x04", b"\x1f\x8b", b"#"),
    *("用".encode(), "é".encode("latin-1"), b"user_id", b"item_id", b"u0", b"i0", b"i1", b"\n\n", b"\t\t"),
)
# (what to do, where as a share of the file, how many bytes, a piece)
step = st.tuples(
    st.sampled_from(("set", "cut", "put", "end", "twice", "swap")),
    st.floats(0, 1),
    st.integers(1, 40),
    st.one_of(st.sampled_from(PIECES), st.binary(min_size=1, max_size=4)),
)
damages = st.lists(step, min_size=1, max_size=4)
CELLS = (
    *(
        "",
        " ",
        "u0",
        "u1",
        "i0",
        "i1",
        "i2",
        "0",
        "1",
        "-1",
        "2.5",
        "1e30",
        "1e400",
        "nan",
        "inf",
        "NA",
        "None",
    ),
    *(
        "1 2",
        "1,2",
        "a b",
        "é",
        "用户",
        '"',
        '"a',
        "'",
        "\\",
        "#",
        "=1+1",
        "1_000",
        "9" * 30,
        "0x10",
        "1588687728923",
    ),
)
cell = st.one_of(st.sampled_from(CELLS), st.text(max_size=6))


def damaged(content: bytes, steps: list) -> bytes:
    """A copy of a file after these steps."""
    for what, share, count, piece in steps:
        place = int(share * len(content))
        if what == "set":
            content = content[:place] + piece + content[place + len(piece) :]
        elif what == "cut":
            content = content[:place] + content[place + count :]
        elif what == "put":
            content = content[:place] + piece + content[place:]
        elif what == "end":
            content = content[:place]
        elif what == "twice":
            content = content[:place] + content[max(0, place - count) :]
        else:
            lines = content.split(b"\n")
            first, second = place % len(lines), count % len(lines)
            lines[first], lines[second] = lines[second], lines[first]
            content = b"\n".join(lines)
    return content


@st.composite
def tables(draw, heads, separator):
    """The bytes of a table with one of these lines of names, and of rows of odd cells."""
    head = draw(heads)
    width = len(head)
    row = st.one_of(
        st.lists(cell, min_size=width, max_size=width),
        st.lists(cell, max_size=width + 1),
    )
    rows = draw(st.lists(row, max_size=6))
    text = "\n".join(separator.join(line) for line in (head, *rows)) + draw(
        st.sampled_from(("\n", "", "\n\n"))
    )
    return text.encode(draw(st.sampled_from(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig"))), "replace")
