"""Conversations handed out again, page by page: in forms for programs, for spreadsheets and for tuning."""
