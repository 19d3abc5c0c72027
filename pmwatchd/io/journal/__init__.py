"""
The durable memory: one SQLite file, one connection, one thread.

``SqliteJournal`` is the face towards the event loop, ``store`` the work in
the thread, ``rows`` the way from values to columns and back, ``files`` and
``tables`` how a journal comes to be and is replaced, ``faults`` what SQLite
means, ``lock`` what keeps a second daemon out.

::

    engine --commit(entries)--> SqliteJournal --one thread--> Store --> journal.db
"""

from pmwatchd.io.journal.sqlite import SqliteJournal

__all__ = ["SqliteJournal"]
