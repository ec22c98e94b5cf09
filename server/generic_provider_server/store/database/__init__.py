"""Contains the engines of both databases, the tables, the statements, the changes of the schema,
and the conversion of values to rows.
"""
