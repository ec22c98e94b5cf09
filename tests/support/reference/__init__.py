"""Contains a plain, slow model of the business rules, which was written only from the description
of the rules.
"""
