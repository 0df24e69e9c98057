"""What other packages may do with datasets: the one door into labeling."""

from labeling.annotating import (
    annotate_example,
    create_dataset,
    create_dataset_of_any_address,
    delete_dataset,
    rename_dataset,
)
from labeling.background import map_columns, receive_file, start_freeze, start_import
from labeling.bulk import change_examples, undo_change
from labeling.exports import export_csv, export_openai, export_rows
from labeling.files import delete_expired_files, delete_file, file_path, open_file, store_file
from labeling.importing import ImportReport, import_examples
from labeling.label_set import change_label, create_label, delete_label
from labeling.versions import digest_of, freeze_version, write_rows
from labeling.work import cancel as cancel_work
from labeling.writing import delete_example, write_example

__all__ = [
    "ImportReport",
    "annotate_example",
    "cancel_work",
    "change_examples",
    "change_label",
    "create_dataset",
    "create_dataset_of_any_address",
    "create_label",
    "delete_dataset",
    "delete_example",
    "delete_expired_files",
    "delete_file",
    "delete_label",
    "digest_of",
    "export_csv",
    "export_openai",
    "export_rows",
    "file_path",
    "freeze_version",
    "import_examples",
    "map_columns",
    "open_file",
    "receive_file",
    "rename_dataset",
    "start_freeze",
    "start_import",
    "store_file",
    "undo_change",
    "write_example",
    "write_rows",
]
