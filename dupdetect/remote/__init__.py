"""Files behind a URL: fetched before they are read, sent after they were written (extra `remote`).

Whatever fsspec knows can be named: s3://bucket/export.csv (with AWS_ENDPOINT_URL, of any S3-compatible store), gs://,
az://, https:// for reading, memory://. Credentials are found where the package of the protocol looks for them, such as
AWS_ACCESS_KEY_ID or ~/.aws. They appear in no message and no record, nor does what a URL has behind a question mark.

A file is fetched, in portions, to a temporary one (in TMPDIR), and read by `dupdetect.tables` like any other, so that
its cells stay what they are. The readers of Ray Data would not do: read_csv of ray 2.60 makes 7.0 of 007, 1000.0 of
1e3, dates of what looks like them, and null of an empty cell and of NA.

A result is written to a temporary folder and sent when it is complete. The rule, by which no reader takes half a
result for a whole one: **a result is complete where its run.json is there and no dupdetect.unfinished**.

    1. dupdetect.unfinished is written, and the run.json of an earlier result, if it is to be replaced, deleted;
    2. the files are written, what an earlier result had beyond them is deleted, and their sizes are compared;
    3. run.json is written, and dupdetect.unfinished deleted.

If that fails, the local folder stays, and the message names it. Where there was nothing before, what was sent is
deleted again; dupdetect.unfinished only after all else is. Two programs that write to one URL at a time are not kept
apart.
"""

from __future__ import annotations

from dupdetect.remote.fetching import files_of, local_copy, there
from dupdetect.remote.sending import UNFINISHED, check_file, check_output, output_folder, sent_file
from dupdetect.remote.urls import is_url, lies_in, shown

__all__ = [
    "UNFINISHED",
    "check_file",
    "check_output",
    "files_of",
    "is_url",
    "lies_in",
    "local_copy",
    "output_folder",
    "sent_file",
    "shown",
    "there",
]
