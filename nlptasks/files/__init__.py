"""Opening, parsing and writing files: compression, encodings, JSON lines and documents, TSV, CSV, plain text.

A stream goes through stages: bytes as they arrive, decompressed (`streams`), lines of text (`lines`), records
(`records`, `tables`, `items`). Each is a generator that hands on what is there, so a pipe is answered line by line.
"""

from nlptasks.files.lines import LOST
from nlptasks.files.record import Naming, Parts, Readers, Record
from nlptasks.files.records import EXTENSIONS, FORMATS, read_records, read_stream, read_text
from nlptasks.files.streams import MAGIC, extension, open_bytes
from nlptasks.files.writing import check_file, check_folder, fingerprint, part_of, replaced, write_beside, write_json

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "LOST",
    "MAGIC",
    "Naming",
    "Parts",
    "Readers",
    "Record",
    "check_file",
    "check_folder",
    "extension",
    "fingerprint",
    "open_bytes",
    "part_of",
    "read_records",
    "read_stream",
    "read_text",
    "replaced",
    "write_beside",
    "write_json",
]
