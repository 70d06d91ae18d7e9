"""The text of a user's file, whatever an editor did to it: one reading for every kind of file."""

from __future__ import annotations

from pathlib import Path

from headrace.errors import HeadraceError, Place

LARGEST = 1_000_000  # bytes; a file a person writes is smaller by far


def read_text(path: Path) -> str:
    """The file's text without byte order mark and with \\n line ends, so that lines count as an editor counts them.

    Raises HeadraceError when the file is absent, unreadable, too large or not text.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST else None
    except FileNotFoundError:
        target = " (a link to nothing)" if path.is_symlink() else ""
        raise HeadraceError(f"{path.name} does not exist{target}", place=Place(path)) from None
    except IsADirectoryError:
        raise HeadraceError(
            "this is a folder, a file is expected", place=Place(path), hint="rename the folder"
        ) from None
    except OSError as error:
        hint = f"chmod u+r {path.name}" if isinstance(error, PermissionError) else ""
        raise HeadraceError(f"can't be read: {error.strerror}", place=Place(path), hint=hint) from None
    if data is None:
        raise HeadraceError(f"larger than {LARGEST:,} bytes", place=Place(path), hint="is this the right file?")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise HeadraceError("this is UTF-16", place=Place(path), hint="save it as UTF-8")
    if b"\0" in data:
        raise HeadraceError("this is not text but a binary file", place=Place(path), hint="is this the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02x}"
        raise HeadraceError(
            f"not UTF-8: {byte} in line {line}", place=Place(path, line), hint="save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
