"""Files of other people, read into canonical rows: streamed, in bounded memory, forgiving nothing."""

from labeling.readers.files import FileReading, open_reading

__all__ = ["FileReading", "open_reading"]
