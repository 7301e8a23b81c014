"""Records in the languages of others: a module for each standard, from records to plain JSON."""
