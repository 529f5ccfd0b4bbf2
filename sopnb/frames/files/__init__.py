"""Users' files: read and written by Arrow, a piece at a time.

All that reads or writes a file of a user's goes through this folder; the database's own files go through ``storage/files.py``.
"""
