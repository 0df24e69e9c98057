"""What other packages may do with datasets: the one door into labeling."""

from labeling.annotating import annotate_example, create_dataset
from labeling.exports import export_csv, export_openai, export_rows
from labeling.importing import ImportReport, import_examples
from labeling.versions import digest_of, freeze_version, write_rows

__all__ = [
    "ImportReport",
    "annotate_example",
    "create_dataset",
    "digest_of",
    "export_csv",
    "export_openai",
    "export_rows",
    "freeze_version",
    "import_examples",
    "write_rows",
]
