"""The sentences of the faults: what is wrong, and what to do about it, for people."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from labeling.faults import Figures

Sentence = object  # a lazy translation

_SHAPES = _(
    "Use one of: messages (OpenAI chat), prompt and completion, conversations (ShareGPT), "
    "instruction and output (Alpaca), question and answer, text and labels."
)

SENTENCES: Mapping[str, tuple[Sentence, Sentence]] = {
    # the file
    "file_empty": (_("The file holds no rows."), _("Check that this is the file you meant.")),
    "file_too_large": (
        _("The file is larger than %(limit)s bytes."),
        _("Split it into several files; importing them one after another adds up."),
    ),
    "rows_too_many": (
        _("The file has more than %(limit)s rows; the rest was not read."),
        _("Split it into several files; importing them one after another adds up."),
    ),
    "form_unknown": (
        _("This is neither JSON, nor a table whose columns we know, nor an XLSX workbook."),
        _("Give the file its right name (.jsonl, .json, .csv, .tsv, .xlsx) or convert it."),
    ),
    "form_foreign": (
        _("This is a %(found)s file, which cannot be imported."),
        _("Save or unpack it as JSON Lines, CSV, TSV or XLSX."),
    ),
    "encoding_unknown": (
        _("The file is encoded as %(found)s, which is not supported."),
        _("Save it as UTF-8; UTF-16 and GB18030 are understood as well."),
    ),
    # lines
    "line_too_long": (
        _("This row is longer than %(limit)s bytes."),
        _("Shorten the text or split it over several rows."),
    ),
    "line_not_readable": (
        _("This line holds bytes that are no text in the file's encoding."),
        _("Save the file again as UTF-8, or retype the damaged text."),
    ),
    "json_malformed": (
        _("This is not valid JSON (character %(column)s)."),
        _("Correct the row there; write files with a JSON library, not by hand."),
    ),
    "json_number": (
        _("A number here is NaN, infinite, or too large."),
        _("Replace it by an ordinary number, or by null."),
    ),
    "json_duplicate_key": (
        _("A key is given twice in one object."),
        _("Keep one of the two; we do not guess which one is meant."),
    ),
    "json_too_deep": (
        _("The JSON is nested too deeply."),
        _("Rows need only a few levels; remove what is not part of the row."),
    ),
    "json_nul": (
        _("A text contains the character NUL."),
        _("Remove it; it means nothing in text."),
    ),
    "json_surrogate": (
        _("A text contains half of a surrogate pair, which is no character."),
        _("Replace it; a program probably cut a text in the middle of an emoji."),
    ),
    "json_encoding": (_("The text is not UTF-8."), _("Save the file again as UTF-8.")),
    "json_over_many_lines": (
        _("The file is one JSON object written over many lines, so no line is a row."),
        _("Write one object on each line, or an array of objects: [{...}, {...}]."),
    ),
    "json_array_open": (
        _("The array never ends; nothing from this line on could be read as rows."),
        _("Correct the brackets from here on, or write one object on each line without [ and ]."),
    ),
    "json_after_array": (
        _("Something stands behind the end of the array."),
        _("Remove it, or put each object on a line of its own without [ and ]."),
    ),
    # tables and workbooks
    "columns_unknown": (
        _("No known pair of columns in the header: %(found)s."),
        _("Name the columns question and answer (or 问题 and 答案), or give a mapping."),
    ),
    "column_missing": (
        _("The mapping names the column “%(column)s”; the header has: %(found)s."),
        _("Write the name as it stands in the header."),
    ),
    "cells_too_many": (
        _("This row has %(found)s cells where %(expected)s are expected."),
        _("Put quotation marks around cells that contain the separator."),
    ),
    "quote_not_closed": (
        _("A quotation mark opens a cell here and never closes it."),
        _("Close it, or double each quotation mark that belongs to the text."),
    ),
    "record_malformed": (
        _("This line cannot be read as a row of a table: %(text)s"),
        _("Save the table again as CSV from your spreadsheet."),
    ),
    "workbook_damaged": (
        _("The workbook cannot be read (%(reason)s)."),
        _("Open it in your spreadsheet and save it again as XLSX, or as CSV."),
    ),
    "archive_not_workbook": (
        _("This is an archive, but not an XLSX workbook."),
        _("Unpack it and upload the files inside one by one."),
    ),
    "archive_entries": (
        _("The archive has %(found)s entries; %(limit)s are allowed."),
        _("Save only the sheet with the rows, as XLSX or CSV."),
    ),
    "archive_encrypted": (
        _("The workbook is protected by a password."),
        _("Save it without a password, or as CSV."),
    ),
    "archive_unpacked": (
        _("The workbook unpacks to more than %(limit)s bytes."),
        _("Save the sheet as CSV, which may be as large as it likes."),
    ),
    "archive_ratio": (
        _("A part of the archive is packed more than %(limit)s to 1, as harmful files are."),
        _("Save the sheet as CSV."),
    ),
    "archive_doctype": (
        _("The workbook declares XML entities, which no spreadsheet needs."),
        _("Open it in your spreadsheet and save it again."),
    ),
    # rows
    "row_not_object": (
        _("A row must be a JSON object; this is: %(found)s."),
        _SHAPES,
    ),
    "shape_unknown": (_("The keys of this row fit no known shape: %(found)s."), _SHAPES),
    "row_too_long": (
        _("The texts of this row have more than %(limit)s characters together."),
        _("Split the conversation over several rows of one group."),
    ),
    "messages_not_list": (
        _("A list of messages is expected here; this is: %(found)s."),
        _('Write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}].'),
    ),
    "messages_empty": (
        _("The conversation has no messages."),
        _("Add at least a user's message and an assistant's answer, or remove the row."),
    ),
    "messages_too_many": (
        _("The conversation has %(found)s messages; %(limit)s are allowed."),
        _("Split the conversation over several rows of one group."),
    ),
    "message_not_object": (
        _("A message must be an object; this is: %(found)s."),
        _('Write {"role": "…", "content": "…"}.'),
    ),
    "role_missing": (_("The message does not say who speaks."), _('Add "role".')),
    "role_unknown": (
        _("Nobody is called “%(found)s” in a conversation."),
        _("Use one of: %(known)s."),
    ),
    "content_missing": (_("The text is missing."), _("Write the text, or remove the row.")),
    "content_not_text": (
        _("A text is expected here; this is: %(found)s."),
        _("Put the text between quotation marks; images and tool calls cannot be learned."),
    ),
    "content_empty": (_("The text is empty."), _("Write the text, or remove the row.")),
    "weight_invalid": (
        _("A weight must be 0 or 1."),
        _("Write 1 to learn this answer, 0 to only read it."),
    ),
    "weight_misplaced": (
        _("Only answers of the assistant carry a weight; this is: %(role)s."),
        _("Remove the weight here."),
    ),
    "assistant_missing": (
        _("There is no answer of the assistant, so there is nothing to learn."),
        _('Add a message with "role": "assistant", or remove the row.'),
    ),
    "nothing_to_learn": (
        _("Every answer has weight 0, so there is nothing to learn."),
        _("Give at least one answer the weight 1, or remove the row."),
    ),
    "history_invalid": (
        _("The history must be a list of pairs of question and answer."),
        _('Write [["question", "answer"], …].'),
    ),
    "label_invalid": (
        _("Each label must be a text of 1 to %(limit)s characters."),
        _("Shorten or correct the label."),
    ),
    "labels_too_many": (
        _("The row has %(found)s labels; %(limit)s are allowed."),
        _("Keep the labels that matter."),
    ),
    "labels_missing": (_("The row has no label."), _("Add a label, or remove the row.")),
    "id_invalid": (
        _("An id must be a text or a whole number of at most %(limit)s characters."),
        _("Shorten or correct the id, or leave it out."),
    ),
    "id_repeated": (
        _("The id was already used on line %(first)s, for a row with other content."),
        _("Give each row an id of its own."),
    ),
    # conversations of the past
    "conversation_id_missing": (
        _("The conversation has no id, so it could not be told from others."),
        _("Export it with its id, or give each conversation one."),
    ),
    "messages_missing": (
        _("Nobody says anything in this conversation."),
        _("Export the tickets with their comments or messages."),
    ),
    "speaker_unknown": (
        _("It cannot be told who says this: “%(found)s”."),
        _("Say which column tells customers from agents, or name the sides: visitor, agent, bot."),
    ),
    "moment_unknown": (
        _("This is no time that can be read: “%(found)s”."),
        _("Write it as 2025-03-01 14:05:00, or leave the column out."),
    ),
    "columns_no_messages": (
        _("The header names no column for what was said: %(found)s."),
        _("Say which columns hold the conversation, the time, who speaks and the text."),
    ),
    "passages_invalid": (
        _("Passages must be texts, or objects with text, title and source."),
        _('Write [{"text": "…", "title": "…"}].'),
    ),
}


def message(code: str, figures: Figures) -> str:
    """What is wrong, in the language that is active."""
    return str(SENTENCES[code][0]) % figures


def fix(code: str, figures: Figures) -> str:
    """What to do about it, in the language that is active."""
    return str(SENTENCES[code][1]) % figures
