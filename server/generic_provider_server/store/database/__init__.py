"""The databases: engines, tables, statements, the schema's changes, and values as rows."""
