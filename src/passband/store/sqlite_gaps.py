"""What SQLite leaves of deleted rows in its file, and its removal.

``secure_delete`` overwrites a row that is deleted and a page that is freed. But where SQLite balances a tree it
rebuilds pages (btree.c, rebuildPage), and what lies in the gap between a rebuilt page's cell pointers and its cells
(Database File Format §1.6) stays as it was: copies of rows that were moved, in pages that other rows keep alive.

Rule: a gap means nothing to SQLite, so zeros may be written over it, as long as the page itself cannot change
meanwhile. It cannot while the caller holds the write lock on a database whose log is empty: nobody can write to the log
then, and no checkpoint has anything to copy.

**Resource handling.** One handle of SQLite's own: closing an ordinary descriptor of the file would drop every lock that
this process has on it (SQLite, How To Corrupt, §2.2). Methods block.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import apsw

SLICE = 500  # pages looked at in one go, 1 ms: other threads run in between
HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}  # b-tree pages by their first octet, and the octets before the cell pointers
# The first octet of every other page is the topmost of a page number, which stays below 2 in a file of this many pages.
MOST_PAGES = 2 << 24


class Gaps:
    """The gaps in the pages of one database file."""

    def __init__(self, path: Path) -> None:
        self._log = Path(f"{path}-wal")
        flags = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE
        self._file = apsw.VFSFile("", os.path.realpath(path), [flags, 0])
        size = int.from_bytes(self._file.xRead(18, 0)[16:18])
        self._page_size = 65536 if size == 1 else size
        self._next = 0

    def close(self) -> None:
        self._file.xClose()

    def look(self) -> tuple[list[int], bool]:
        """Look at the next pages; return those whose gap is not empty, and whether the end of the file is reached.

        Needs no lock: a page that changes meanwhile is judged wrongly, and again when it is cleared.
        """
        size = self._page_size
        first, pages = self._next, self._pages()
        count = min(SLICE, pages - first)
        if count <= 0 or pages >= MOST_PAGES:
            self._next = 0
            return [], True
        octets = self._file.xRead(count * size, first * size)
        found = [
            first + place
            for place in range(len(octets) // size)
            if octets[place * size] in HEADERS and _gap(octets[place * size : (place + 1) * size])
        ]
        self._next = first + count
        return found, False

    def clear(self, pages: Sequence[int]) -> bool:
        """Empty the gaps of these pages, durably. The caller holds the write lock.

        Return False, with nothing done, if the log is not empty.
        """
        if self._log.stat().st_size:
            return False
        last = self._pages()
        for page in pages:
            if page >= last:
                continue
            octets = self._file.xRead(self._page_size, page * self._page_size)
            if octets[0] in HEADERS and (gap := _gap(octets)):
                self._file.xWrite(bytes(len(gap)), page * self._page_size + gap.start)
        self._file.xSync(apsw.SQLITE_SYNC_NORMAL)
        return True

    def _pages(self) -> int:
        return self._file.xFileSize() // self._page_size


def _gap(page: bytes) -> range:
    """Return where the gap of a b-tree page lies if it is not empty, else an empty range.

    The first page of the file holds the schema, and begins with another header.
    """
    start = HEADERS[page[0]] + 2 * int.from_bytes(page[3:5])
    end = int.from_bytes(page[5:7]) or 65536
    if start < end <= len(page) and page.count(0, start, end) < end - start:
        return range(start, end)
    return range(0)
