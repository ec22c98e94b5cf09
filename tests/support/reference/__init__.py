"""A plain, slow model of the business rules, written from their description alone."""
