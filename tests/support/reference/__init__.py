"""Contains a plain, slow model of the business rules, written only from their description."""
