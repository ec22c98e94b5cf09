"""Contains the engines of SQLite and PostgreSQL, the tables, the statements, the changes of the
schema, and the conversion of values to rows.
"""
